#!/usr/bin/env python3
"""The house test can fail: each rule is broken once in a small tree."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HOUSE = Path(__file__).with_name("house.py")

GOOD_H = """/* A thing of the index. */
#ifndef TAILFIN_INDEX_INDEX_H
#define TAILFIN_INDEX_INDEX_H

#include <stddef.h>

#include "base/span.h"

/* Counts. */
size_t idx_count(struct span s);

#endif
"""

GOOD_C = """#include "index/index.h"

#include <string.h>

#include "base/span.h"

static const char *const names[] = {"a", "b"};

size_t
idx_count(struct span s)
{
    return s.n + strlen(names[0]);
}
"""

SPAN_H = """/* Bytes. */
#ifndef TAILFIN_BASE_SPAN_H
#define TAILFIN_BASE_SPAN_H

#include <stddef.h>

struct span {
    const char *p;
    size_t n;
};

#endif
"""


class HouseTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.write("base/span.h", SPAN_H)
        self.write("base/README.md", "x\n")
        self.write("index/index.h", GOOD_H)
        self.write("index/index.c", GOOD_C)
        self.write("index/README.md", "x\n")

    def tearDown(self):
        self.folder.cleanup()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run_house(self):
        done = subprocess.run([sys.executable, str(HOUSE), str(self.root)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout

    def broken(self, wanted, name="index/index.c", old="    return", new="    return", text=None):
        """After the edit the one violation is `wanted`."""
        original = (self.root / name).read_text() if (self.root / name).exists() else ""
        if text is None:
            self.assertIn(old, original)
            text = original.replace(old, new, 1)
        self.write(name, text)
        code, out = self.run_house()
        self.assertEqual(code, 1, out)
        self.assertIn(wanted, out)
        self.assertIn("1 violations", out)
        if original:
            self.write(name, original)
        else:
            (self.root / name).unlink()

    def test_good_tree(self):
        code, out = self.run_house()
        self.assertEqual((code, out), (0, "0 violations of the house rules\n"))

    def test_include_table(self):
        self.write("query/query.h", GOOD_H.replace("INDEX_INDEX", "QUERY_QUERY")
                   .replace("idx_count", "qry_count"))
        self.write("http/http.h", GOOD_H.replace("INDEX_INDEX", "HTTP_HTTP")
                   .replace("idx_count", "http_count"))
        self.write("index/writer.h", GOOD_H.replace("INDEX_INDEX", "INDEX_WRITER")
                   .replace("idx_count", "idx_write"))
        self.write("index/parts.h", GOOD_H.replace("INDEX_INDEX", "INDEX_PARTS")
                   .replace("idx_count", "idx_parts"))
        edit = '#include "base/span.h"'
        self.broken("index may not include http", old=edit, new=edit + '\n#include "http/http.h"')
        self.broken("internal to index", "query/query.h", edit, edit + '\n#include "index/parts.h"')
        self.broken("may not use the door", "query/query.h", edit,
                    edit + '\n#include "index/writer.h"')
        self.broken("does not exist", old=edit, new=edit + '\n#include "base/none.h"')
        self.broken("has no place in index", old="#include <string.h>",
                    new="#include <string.h>\n\n#include <curl/curl.h>")

    def test_one_file_for_a_library(self):
        self.write("index/set.c", "#include <roaring/roaring.h>\n")
        self.broken("more than one file", "index/other.c",
                    text="#include <roaring/roaring.h>\n")

    def test_include_order(self):
        self.broken("the first include", old='#include "index/index.h"\n\n', new="")
        self.broken("a blank line between", old="<string.h>\n\n", new="<string.h>\n")
        self.broken("includes go", old='#include <string.h>\n\n#include "base/span.h"',
                    new='#include "base/span.h"\n\n#include <string.h>')

    def test_form(self):
        self.broken("a tab", new="\treturn")
        self.broken("blanks at the end", old="{\n", new="{ \n")
        self.broken("more than 100 columns", old='"a"', new='"' + "a" * 100 + '"')
        self.broken("exactly one newline", old="names[0]);\n}\n", new="names[0]);\n}\n\n")
        self.broken("issue number", new="    /* TODO: later */\n    return")
        self.broken("comments are", new="    // no\n    return")
        self.broken("goto leads", new="    goto done;\ndone:\n    return")
        self.broken("more than 600 lines", old="static", new="\n" * 600 + "static")

    def test_functions(self):
        self.broken("idx_count has 104 lines", new="    (void)s;\n" * 100 + "    return")
        many = ", ".join(f"int p{i}" for i in range(7))
        self.broken("more has 7 parameters", old="size_t\nidx_count",
                    new=f"static void\nmore({many})\n{{\n}}\n\nsize_t\nidx_count")
        self.broken("count does not begin with idx_", old="size_t\nidx_count",
                    new="size_t\ncount(void)\n{\n    return 0;\n}\n\nsize_t\nidx_count")
        self.broken("nested deeper", new="    if (1)\n        if (1)\n            if (1)\n"
                    "                if (1)\n                    s.n++;\n    return")

    def test_bans(self):
        self.broken("strcpy: has a safe", new='    strcpy(0, "");\n    return')
        self.broken("malloc: use xmalloc", new="    (void)malloc(1);\n    return")
        self.broken("fsync: files", new="    fsync(1);\n    return")
        self.broken("getenv: main", new='    (void)getenv("X");\n    return')
        self.broken("never logs above DEBUG", new="    log_line(0, LOG_WARN);\n    return")
        self.broken("does not print", new='    fputs("x", stderr);\n    return')
        self.broken("exit: rooms return", new="    exit(1);\n    return")

    def test_not_banned(self):
        self.write("index/index.c", GOOD_C.replace(
            "    return", '    /* malloc(1), strcpy, a // b */\n    x.malloc(1);\n    y->exit(2);\n'
            '    my_malloc("malloc(1) // x", LOG_DEBUG);\n    return'))
        self.assertEqual(self.run_house(), (0, "0 violations of the house rules\n"))

    def test_globals(self):
        self.broken("counter is a mutable", old="static const", new="static int counter;\nstatic const")
        self.broken("names is a mutable", old="*const names", new="*names")
        self.broken("cache is a mutable", old="static const",
                    new="struct span cache[3] = {{0}};\n\nstatic const")

    def test_headers(self):
        name = "index/index.h"
        self.broken("is not documented", name, "/* Counts. */\n", "")
        self.broken("the guard is TAILFIN_INDEX_INDEX_H", name, "INDEX_INDEX_H\n#define TAILFIN_",
                    "INDEX_INDEX_H\n\n#define TAILFIN_")
        self.broken("begins with a comment", name, "/* A thing of the index. */\n", "")
        self.broken("count does not begin", name, "idx_count(struct span s);",
                    "idx_count(struct span s);\nsize_t count(void);")
        self.broken("does not compile alone", "index/alone.h",
                    text="/* x */\n#ifndef TAILFIN_INDEX_ALONE_H\n#define TAILFIN_INDEX_ALONE_H\n"
                    "\nextern const struct unknown idx_x[3];\n\n#endif\n")

    def test_readme(self):
        (self.root / "index/README.md").unlink()
        code, out = self.run_house()
        self.assertEqual(code, 1)
        self.assertIn("has no README.md", out)

    def test_machine_paths(self):
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.write("base/README.md", "see /wor" + "k/main/x\n")
        subprocess.run(["git", "-C", str(self.root), "add", "."], check=True)
        code, out = self.run_house()
        self.assertEqual(code, 1)
        self.assertIn("names a path of one machine", out)


if __name__ == "__main__":
    unittest.main()
