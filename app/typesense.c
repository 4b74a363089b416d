#include "app/typesense.h"

#include "app/options.h"

static enum qry_shadow_mode
shadow_mode(const struct conf *conf)
{
    const char *mode = conf_str(conf, OPT_SHADOW);

    if (strcmp(mode, "typesense") == 0)
        return QRY_SHADOW_TYPESENSE;
    return strcmp(mode, "builtin") == 0 ? QRY_SHADOW_BUILTIN : QRY_SHADOW_OFF;
}

bool
app_serves_from_typesense(const struct conf *conf)
{
    return strcmp(conf_str(conf, OPT_SERVE_FROM), "typesense") == 0;
}

void
app_typesense_options(const struct conf *conf, struct qry_options *out)
{
    const char *urls = conf_str(conf, OPT_TYPESENSE_URL);

    out->upstream_urls = urls && *urls ? urls : NULL;
    out->upstream_key = conf_str(conf, OPT_TYPESENSE_API_KEY);
    out->is_forwarding = app_serves_from_typesense(conf);
    out->forward_us = conf_u64(conf, OPT_FORWARD_TIMEOUT_MS) * 1000;
    out->shadow = shadow_mode(conf);
    out->shadow_percent = (unsigned)conf_u64(conf, OPT_SHADOW_PERCENT);
}
