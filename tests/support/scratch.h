/* A temporary directory for one test. */
#ifndef TAILFIN_TESTS_SCRATCH_H
#define TAILFIN_TESTS_SCRATCH_H

#include "base/must.h"

/* Makes a new empty directory under $TMPDIR or /tmp; returns its path. Aborts on failure. */
MUST_USE char *scratch_new(void);
/* Removes the directory with all it holds, and frees the path. NULL allowed. */
void scratch_free(char *dir);

#endif
