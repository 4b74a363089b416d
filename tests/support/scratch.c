#include "tests/support/scratch.h"

#include <ftw.h>
#include <unistd.h>

char *
scratch_new(void)
{
    const char *parent = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/tailfin-test-XXXXXX", parent && parent[0] ? parent : "/tmp");
    must(mkdtemp(path) != NULL);
    return xstrdup(path);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

void
scratch_free(char *dir)
{
    if (!dir)
        return;
    must(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
    free(dir);
}
