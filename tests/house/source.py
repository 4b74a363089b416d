"""Reading C source just well enough for the house rules: comments and strings
are blanked, so that what is left can be searched line by line."""

import re
from pathlib import Path


def blank(text):
    """text with the inside of comments and string literals as spaces; newlines stay."""
    out = []
    i = 0
    n = len(text)
    while i < n:
        two = text[i:i + 2]
        if two == "/*":
            end = text.find("*/", i + 2)
            end = n if end < 0 else end + 2
        elif two == "//":
            end = text.find("\n", i)
            end = n if end < 0 else end
        elif text[i] in "\"'":
            end = literal_end(text, i)
            out.append(text[i] + re.sub(r"[^\n]", " ", text[i + 1:end - 1]) + text[end - 1:end])
            i = end
            continue
        else:
            out.append(text[i])
            i += 1
            continue
        out.append(re.sub(r"[^\n]", " ", text[i:end]))
        i = end
    return "".join(out)


def literal_end(text, begin):
    """The offset behind the literal that begins at begin."""
    quote = text[begin]
    i = begin + 1
    while i < len(text) and text[i] != quote and text[i] != "\n":
        i += 2 if text[i] == "\\" else 1
    return min(i + 1, len(text))


class Function:
    """A definition at file level. Lines count from 1."""

    def __init__(self, name, line, n_lines, is_static, parameters):
        self.name = name
        self.line = line
        self.n_lines = n_lines
        self.is_static = is_static
        self.parameters = parameters


class Source:
    """One .c or .h file."""

    def __init__(self, root, path):
        self.path = path.relative_to(root)
        self.name = str(self.path)
        self.room = self.path.parts[0]
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.split("\n")
        self.code = blank(self.text)
        self.code_lines = self.code.split("\n")

    def includes(self):
        """(line, '<' or '"', name) of every #include; names from the unblanked text."""
        found = []
        for i, line in enumerate(self.lines, 1):
            match = re.match(r'#\s*include\s+([<"])([^>"]+)[>"]', line)
            if match and self.code_lines[i - 1].startswith("#"):
                found.append((i, match.group(1), match.group(2)))
        return found

    def functions(self):
        """Definitions: return type and name at column 0, braces at column 0."""
        found = []
        begin = 0
        for i, line in enumerate(self.code_lines):
            if line == "{":
                head = " ".join(self.code_lines[begin:i])
                end = i
                while end < len(self.code_lines) and self.code_lines[end] != "}":
                    end += 1
                match = re.search(r"(\w+)\s*\(([^{;]*)\)\s*$", head)
                if match:
                    line_no = self.line_of_name(begin, i, match.group(1))
                    found.append(Function(match.group(1), line_no, end - line_no + 2,
                                          re.search(r"\bstatic\b", head) is not None,
                                          split_parameters(match.group(2))))
                begin = end + 1
            elif line == "" or line.startswith(("#", "}")) or line.endswith(";"):
                begin = i + 1
        return found

    def line_of_name(self, begin, end, name):
        for i in range(begin, end):
            if re.match(name + r"\b", self.code_lines[i]):
                return i + 1
        return begin + 1

    def prototypes(self):
        """(line, name, is documented) of the functions that a header declares."""
        return header_prototypes(self)


def split_parameters(text):
    """The parameters of a list, split at commas outside parentheses."""
    text = text.strip()
    if text in ("", "void"):
        return []
    parts = [""]
    depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return parts


ATTRIBUTE = r"(?:MUST_USE|COLD|_Noreturn|PRINTF_LIKE\([^)]*\)|extern)\s+"
PROTOTYPE = re.compile(r"(?:" + ATTRIBUTE + r")*(?!typedef|return|static|struct \w+ \{|enum \w+ \{)"
                       r"[A-Za-z_][\w\s\*]*?[\s\*](\w+)\s*\(")


def header_prototypes(source):
    """
    A paragraph (lines without a blank one between) that declares functions is
    documented if it holds a comment: before the first, or behind any.
    """
    found = []
    depth = 0
    paragraph = []
    has_comment = False
    for i, (raw, code) in enumerate(zip(source.lines + [""], source.code_lines + [""])):
        if raw.strip() == "" and depth == 0:
            found += [(line, name, has_comment) for line, name in paragraph]
            paragraph = []
            has_comment = False
            continue
        if "/*" in raw or raw.strip().startswith("*"):
            has_comment = True
        if depth == 0 and not code.startswith((" ", "#", "}")):
            match = PROTOTYPE.match(code)
            statement = code
            k = i
            while match and k + 1 < len(source.code_lines) and ";" not in statement \
                    and "{" not in statement:
                k += 1
                statement += source.code_lines[k]
            if match and "{" not in statement.split(";")[0]:
                paragraph.append((i + 1, match.group(1)))
        depth += code.count("{") - code.count("}")
    return found


def read_all(root, rooms):
    """The sources of the rooms."""
    found = []
    for room in rooms:
        for path in sorted((root / room).glob("*.[ch]")):
            found.append(Source(Path(root), path))
    return found
