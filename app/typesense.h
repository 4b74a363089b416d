/* What the options say about Typesense as a server of searches: forwarding and shadow mode. */
#ifndef TAILFIN_APP_TYPESENSE_H
#define TAILFIN_APP_TYPESENSE_H

#include "base/conf.h"
#include "query/query.h"

/* Fills in the part of the options that concerns Typesense; borrows from conf. */
void app_typesense_options(const struct conf *conf, struct qry_options *out);

bool app_serves_from_typesense(const struct conf *conf);

#endif
