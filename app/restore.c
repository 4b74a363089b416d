/*
 * `tailfin restore`: a snapshot (POST /operations/snapshot) becomes a data
 * directory. Nothing is written before the whole snapshot was found right.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "index/writer.h"

#include "app/commands.h"
#include "app/options.h"

static void
print_finding(void *arg, const char *finding)
{
    (void)arg;
    fprintf(stderr, "%s\n", finding);
}

static enum rc
restore(const char *snapshot, const char *dir, struct err *err)
{
    struct fs *from = NULL, *to = NULL;
    if (access(snapshot, R_OK | X_OK) != 0)
        return err_sys(err, RC_ABSENT, errno, "%s cannot be read", snapshot);
    enum rc rc = fs_open_host(snapshot, &from, err);
    if (rc == RC_OK)
        rc = idx_check(from, print_finding, NULL, err);
    if (rc == RC_OK)
        rc = fs_open_host(dir, &to, err);
    if (rc == RC_OK)
        rc = idx_restore(from, to, err);
    fs_close(from);
    fs_close(to);
    return rc;
}

int
app_restore(const struct app_call *call)
{
    struct err err = {0};
    const char *dir = conf_str(call->conf, OPT_DATA_DIR);
    if (restore(call->words[0], dir, &err) != RC_OK) {
        fprintf(stderr, "error: restoring %s into %s: %s\n", call->words[0], dir, err.text);
        return 1;
    }
    printf("%s holds the snapshot: start `tailfin serve --data-dir %s`\n", dir, dir);
    return 0;
}
