#!/usr/bin/env python3
"""The house test: rules of the architecture and of STYLE that a compiler does
not check. Prints one line per violation; the exit status is 1 if there is any.

    tests/house/house.py [ROOT]
"""

import re
import subprocess
import sys
from pathlib import Path

from source import Source, read_all

# ---- the include table -----------------------------------------------------

ROOMS = {  # room: the rooms whose public headers it may include
    "base": [],
    "tokenizer": ["base"],
    "schema": ["base"],
    "index": ["base", "schema"],
    "http": ["base"],
    "query": ["base", "schema", "tokenizer", "index", "http"],
    "indexer": ["base", "schema", "tokenizer", "index", "http"],
    "app": ["base", "schema", "tokenizer", "index", "http", "query", "indexer"],
}

DOORS = {  # what other rooms may include of a room; base: every header without `_parts`
    "tokenizer": ["tokenizer/tokenizer.h"],
    "schema": ["schema/schema.h", "schema/profile.h"],
    "index": ["index/index.h", "index/writer.h"],
    "http": ["http/http.h", "http/client.h"],
    "query": ["query/query.h", "query/compare.h"],
    "indexer": ["indexer/indexer.h"],
    "app": [],
}

CLOSED = {"query": ["index/writer.h"]}  # doors that a room may not use all the same

# Third-party headers: pattern, then where they may be. `one` allows a single
# file of the room, whichever it is.
LIBRARIES = [
    (r"xxhash\.h", {"base": "one"}),
    (r"yajl/.*", {"base": "one"}),
    (r"ini\.h", {"base": "one"}),
    (r"utf8proc\.h", {"tokenizer": "all"}),
    (r"roaring/.*", {"index": "one"}),
    (r"zstd\.h", {"index": "all"}),
    (r"ev\.h", {"http": "all"}),
    (r"http_parser\.h", {"http": "one"}),
    (r"curl/.*", {"http": "one"}),
    (r"zlib\.h", {"http": "one"}),
    (r"bson/.*", {"schema": "all", "indexer": "all"}),
    (r"mongoc/.*", {"indexer": "all", "app": "one"}),
    (r"sanitizer/.*", {"base": "one"}),
]

# ---- names -----------------------------------------------------------------

PREFIXES = {
    "tokenizer": ["tkz_"], "schema": ["sch_"], "index": ["idx_"], "http": ["http_"],
    "query": ["qry_"], "indexer": ["ing_"], "app": ["app_"],
}
BASE_PREFIXES = {  # base names by noun: the header's name, or these
    "must": ["must_", "x"], "hash": ["hash64", "hmac_", "secret_"], "fs": ["fs_"],
    "bytes": ["bytes_", "load_"], "metrics_parts": ["metrics_", "bucket_"],
    "conf_parts": ["conf_"],
}

# ---- bans ------------------------------------------------------------------

EVERYWHERE = "strcpy strcat sprintf vsprintf strtok atoi atol gets localtime gmtime alloca"
BANS = [  # functions, files or rooms where they are allowed, reason
    (EVERYWHERE, [], "has a safe replacement"),
    ("malloc calloc realloc strdup strndup asprintf vasprintf", ["base/must.c"],
     "use xmalloc and its kin, or an arena"),
    ("mmap munmap fsync fdatasync rename renameat ftruncate flock",
     ["base/fs_host.c"], "files are base/fs.h's"),
    ("getenv setenv putenv secure_getenv", [], "main hands the environment to conf.c"),
    ("exit _exit quick_exit", ["app"], "rooms return"),
    ("abort", ["base/must.c"], "use must()"),
    ("assert", [], "use must(), which stays in every build"),
    ("setlocale setjmp longjmp signal system popen", ["app"], "has process-wide effects"),
    ("printf puts putchar", ["app"], "rooms do not print"),
    ("perror", [], "return an error"),
]
QUIET_ROOMS = ["base", "tokenizer", "schema", "index", "http"]
MUTABLE_GLOBALS = {  # file: names, each with the reason why it must be
    "app/main.c": ["*"],  # a signal handler can reach nothing else
}

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 100
COLUMNS_MAX = 100
PARAMETERS_MAX = 6
NESTING_MAX = 3


class House:
    def __init__(self, root):
        self.root = root
        self.sources = read_all(root, [r for r in ROOMS if (root / r).is_dir()])
        self.problems = []
        self.library_files = {}  # (pattern, room): files

    def report(self, source, line, text):
        name = source.name if isinstance(source, Source) else str(source)
        self.problems.append(f"{name}:{line}: {text}")

    def run(self):
        for source in self.sources:
            self.check_includes(source)
            self.check_include_order(source)
            self.check_form(source)
            self.check_functions(source)
            self.check_bans(source)
            self.check_globals(source)
            if source.name.endswith(".h"):
                self.check_header(source)
        for (pattern, room), files in self.library_files.items():
            if len(files) > 1:
                self.report(room, 0, f"{pattern} is included by more than one file: "
                            + ", ".join(sorted(files)))
        for source in self.test_sources():
            self.check_form(source)
            for f in source.functions():
                self.check_length(source, f)
        self.check_headers_stand_alone()
        self.check_readmes()
        self.check_paths()
        return self.problems

    # ---- includes ----

    def check_includes(self, source):
        for line, kind, name in source.includes():
            if kind == '"':
                self.check_room_include(source, line, name)
            else:
                self.check_library(source, line, name)

    def check_room_include(self, source, line, name):
        room = name.split("/")[0]
        if room not in ROOMS or "/" not in name:
            self.report(source, line, f'"{name}" is not of the form "room/file.h"')
            return
        if not (self.root / name).exists():
            self.report(source, line, f'"{name}" does not exist')
        if room == source.room:
            return
        if room not in ROOMS[source.room]:
            self.report(source, line, f"{source.room} may not include {room}")
        elif room == "base":
            if "_parts" in name:
                self.report(source, line, f'"{name}" is internal to base')
        elif name not in DOORS[room]:
            self.report(source, line, f'"{name}" is internal to {room}')
        elif name in CLOSED.get(source.room, []):
            self.report(source, line, f'{source.room} may not use the door "{name}"')

    def check_library(self, source, line, name):
        for pattern, places in LIBRARIES:
            if not re.fullmatch(pattern, name):
                continue
            how = places.get(source.room)
            if how is None:
                self.report(source, line, f"<{name}> has no place in {source.room}")
            elif how == "one":
                self.library_files.setdefault((pattern, source.room), set()).add(source.name)
            return
        if not Path("/usr/include", name).exists() and not is_system(name):
            self.report(source, line, f"<{name}> is not in the table of libraries")

    def rank(self, source, kind, name):
        if kind == "<":
            third = any(re.fullmatch(pattern, name) for pattern, _ in LIBRARIES)
            return 2 if third else 1
        return 4 if name.split("/")[0] == source.room else 3

    def check_include_order(self, source):
        """own header, system, third party, base and other rooms, own room; a blank between."""
        includes = [x for x in source.includes() if not x[2].endswith((".def", ".inc"))]
        own = source.name[:-2] + ".h"
        if source.name.endswith(".c") and includes and (self.root / own).exists():
            line, _, name = includes.pop(0)
            if name != own:
                self.report(source, line, f'the first include is "{own}"')
            self.check_gap(source, line, includes[:1])
        elif source.name.endswith(".c") and includes and includes[0][2].startswith(source.room + "/"):
            # A file that implements a part of another header may begin with it.
            line = includes.pop(0)[0]
            self.check_gap(source, line, includes[:1])
        last = 0
        for i, (line, kind, name) in enumerate(includes):
            rank = self.rank(source, kind, name)
            if source.code_lines[line - 2].startswith("#if"):
                continue  # conditional: where it is needed
            if rank < last:
                self.report(source, line, "includes go: system, third party, base and other rooms, "
                            "own room")
            following = includes[i + 1:i + 2]
            if following and self.rank(source, *following[0][1:]) != rank:
                self.check_gap(source, line, following)
            last = max(last, rank)

    def check_gap(self, source, line, following):
        if following and following[0][0] == line + 1:
            self.report(source, line, "a blank line between groups of includes")

    # ---- form ----

    def check_form(self, source):
        text = source.text
        if len(source.lines) - 1 > FILE_LINES_MAX:
            self.report(source, len(source.lines), f"more than {FILE_LINES_MAX} lines")
        if not text.endswith("\n") or text.endswith("\n\n"):
            self.report(source, len(source.lines), "ends with exactly one newline")
        for i, line in enumerate(source.lines, 1):
            if "\t" in line or "\r" in line:
                self.report(source, i, "a tab or carriage return")
            if line != line.rstrip():
                self.report(source, i, "blanks at the end of the line")
            if len(line) > COLUMNS_MAX:
                self.report(source, i, f"more than {COLUMNS_MAX} columns")
            if re.search(r"\b(TODO|FIXME|XXX)\b(?!.*#\d)", line):
                self.report(source, i, "a TODO without an issue number")
        for i, line in enumerate(source.code_lines, 1):
            match = re.search(r"\bgoto\s+(\w+)", line)
            if match and match.group(1) != "out":
                self.report(source, i, "goto leads to out: only")
            if "//" in line:
                self.report(source, i, "comments are /* */")
        if "//" in strip_blocks(text):
            for i, line in enumerate(strip_blocks(text).split("\n"), 1):
                if "//" in line:
                    self.report(source, i, "comments are /* */")

    # ---- functions ----

    def check_length(self, source, f):
        if f.n_lines > FUNCTION_LINES_MAX:
            self.report(source, f.line, f"{f.name} has {f.n_lines} lines, at most "
                        f"{FUNCTION_LINES_MAX}")

    def check_functions(self, source):
        for f in source.functions():
            self.check_length(source, f)
            if len(f.parameters) > PARAMETERS_MAX:
                self.report(source, f.line, f"{f.name} has {len(f.parameters)} parameters")
            if not f.is_static:
                self.check_name(source, f.line, f.name)
        for i, line in enumerate(source.code_lines, 1):
            match = re.match(r"( +)(?:\} else )?(if|for|while|switch|do)\b", line)
            if match and len(match.group(1)) > 4 * NESTING_MAX and not is_continuation(source, i):
                self.report(source, i, f"nested deeper than {NESTING_MAX}")

    def check_name(self, source, line, name):
        if source.room == "base":
            stem = source.path.stem
            nouns = [stem] + stem.split("_")[:1]
            allowed = [n + "_" for n in nouns]
            for noun in nouns:
                allowed += BASE_PREFIXES.get(noun, [])
                allowed += BASE_PREFIXES.get(noun + "_parts", [])
        else:
            allowed = PREFIXES[source.room]
        if name != "main" and not name.startswith(tuple(allowed)):
            self.report(source, line, f"{name} does not begin with {' or '.join(allowed)}")

    # ---- bans ----

    def check_bans(self, source):
        for names, places, reason in BANS:
            if source.name in places or source.room in places:
                continue
            pattern = re.compile(r"(?<![\w.>])(" + "|".join(names.split()) + r")\s*\(")
            for i, line in enumerate(source.code_lines, 1):
                match = pattern.search(line)
                if match:
                    self.report(source, i, f"{match.group(1)}: {reason}")
        if source.room in QUIET_ROOMS and source.path.stem != "log":
            for i, line in enumerate(source.code_lines, 1):
                if re.search(r"\bLOG_(INFO|WARN|ERROR)\b", line):
                    self.report(source, i, f"{source.room} never logs above DEBUG")
            if source.name != "base/must.c":
                for i, line in enumerate(source.code_lines, 1):
                    if re.search(r"\b(stderr|stdout)\b", line):
                        self.report(source, i, f"{source.room} does not print")

    def check_globals(self, source):
        """Variables at file level are const."""
        if source.name in MUTABLE_GLOBALS:
            return
        depth = 0
        for i, line in enumerate(source.code_lines, 1):
            is_outside = depth == 0
            depth += line.count("{") - line.count("}")
            if not is_outside or not re.match(r"[A-Za-z_]", line):
                continue
            match = re.match(r"(?:static\s+|extern\s+)?([\w\s\*]+?)\b(\w+)(\[[^\]]*\])*\s*(=|;)", line)
            if not match or re.match(r"(struct|enum|union|typedef|return|goto)\s+\w*\s*;", line):
                continue
            if re.match(r"(typedef|struct \w+;|enum \w+;|_Static_assert)", line):
                continue
            kind = match.group(1)
            tail = kind.split("*")[-1] if "*" in kind else kind
            if not re.search(r"\bconst\b", tail):
                self.report(source, i, f"{match.group(2)} is a mutable global")

    # ---- headers ----

    def check_header(self, source):
        guard = "TAILFIN_" + re.sub(r"\W", "_", source.name).upper()
        if f"#ifndef {guard}\n#define {guard}\n" not in source.text:
            self.report(source, 1, f"the guard is {guard}")
        if not source.text.startswith("/*"):
            self.report(source, 1, "begins with a comment: what the header is for")
        for line, name, is_documented in source.prototypes():
            self.check_name(source, line, name)
            if not is_documented and (source.room == "base" or source.name in DOORS[source.room]):
                self.report(source, line, f"{name} is not documented")

    def check_headers_stand_alone(self):
        """The first include of some .c file compiles alone; the others are compiled here."""
        proven = set()
        for source in self.sources:
            if source.name.endswith(".c") and source.includes():
                proven.add(source.includes()[0][2])
        rest = [s for s in self.sources if s.name.endswith(".h") and s.name not in proven]
        flags = subprocess.run(["pkg-config", "--cflags", "libmongoc-1.0"], text=True,
                               stdout=subprocess.PIPE, check=False).stdout.split()
        for source in rest:
            done = subprocess.run(["cc", "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-I.", *flags,
                                   "-x", "c", "-include", source.name, "/dev/null"], cwd=self.root,
                                  text=True, stderr=subprocess.PIPE, check=False)
            if done.returncode != 0:
                self.report(source, 1, "does not compile alone: " + done.stderr.split("\n")[0])

    # ---- the rest ----

    def test_sources(self):
        for folder in ("tests", "bench", "scripts"):
            for path in sorted((self.root / folder).rglob("*.[ch]")):
                if "node_modules" not in path.parts:
                    yield Source(self.root, path)

    def check_readmes(self):
        for room in ROOMS:
            if any((self.root / room).glob("*.c")) and not (self.root / room / "README.md").exists():
                self.report(room, 0, "has no README.md")

    def check_paths(self):
        """No file names a place of the machine it was written on."""
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=self.root, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                check=False).stdout
        pattern = re.compile("/wor" + "k/(main|shared|\\.library)")
        for name in filter(None, listed.split("\0")):
            path = self.root / name
            if not path.is_file():
                continue
            text = path.read_bytes().decode("utf-8", "replace")
            for i, line in enumerate(text.split("\n"), 1):
                if pattern.search(line):
                    self.report(name, i, "names a path of one machine")


def is_system(name):
    return any(Path(d, name).exists() for d in
               ("/usr/include", "/usr/include/x86_64-linux-gnu", "/usr/include/aarch64-linux-gnu")
               ) or name in ("stddef.h", "stdarg.h", "stdbool.h", "stdint.h", "stdatomic.h",
                             "float.h", "limits.h", "iso646.h", "stdalign.h", "stdnoreturn.h",
                             "emmintrin.h", "immintrin.h", "arm_neon.h")


def strip_blocks(text):
    """text without block comments and literals: what is left of // is a comment."""
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', '""', text)


def is_continuation(source, line):
    """Is the line inside a macro or an expression that began before?"""
    before = source.code_lines[line - 2].rstrip()
    return before.endswith(("\\", ",", "(", "&&", "||", "="))


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    problems = House(root).run()
    for problem in problems:
        print(problem)
    print(f"{len(problems)} violations of the house rules")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
