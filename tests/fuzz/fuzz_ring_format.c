/* Whatever is on a disk: each parser of the ring's format, hashes made right so that it goes in deep. */
#include <stdlib.h>
#include <string.h>

#include "storage/ring/toc.h"

#define SLAB (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void header(const uint8_t *data, size_t size)
{
    uint8_t bytes[KT_HEADER_SIZE] = { 'K', 'T', 'R', 'C', 1 };
    struct kt_header h, again;
    memcpy(bytes + 6, data, size < 218 ? size : 218);
    kt_sha256(bytes + 224, bytes, 224);
    if (kt_header_decode(&h, bytes) < 0)
        return;
    kt_header_encode(bytes, &h);
    if (kt_header_decode(&again, bytes) < 0 || h.seq != again.seq || h.size != again.size)
        abort();
}

static void trailer(const uint8_t *data, size_t size)
{
    static uint8_t slab[SLAB];
    uint8_t *page = slab + SLAB - KT_PAGE;
    struct kt_trailer t;
    memset(slab, 0, sizeof(slab));
    memcpy(page, (const uint8_t[]){ 'K', 'T', 'F', 'T', 1, 0, 0, 0 }, 8);
    memcpy(page + 8, data, size < 224 ? size : 224);
    kt_sha256(page + KT_PAGE - KT_HASH_SIZE, page, KT_PAGE - KT_HASH_SIZE);
    if (kt_trailer_decode(&t, page, SLAB) < 0)
        return;
    if (size > 224)
        memcpy(slab + t.footer_offset, data + 224,
               size - 224 < SLAB - KT_PAGE - t.footer_offset ? size - 224
                                                              : SLAB - KT_PAGE - t.footer_offset);
    const uint8_t *footer = slab + t.footer_offset;
    const size_t entries = (size_t)t.n_entries * KT_ENTRY_SIZE;
    struct kt_toc *toc = NULL;
    kt_sha256(t.entries_hash, footer, entries);
    kt_sha256(t.summary_hash, footer + entries, kt_summary_size(t.n_stretches, t.n_inits));
    if (kt_toc_decode(&toc, &t, footer) == 0)
        (void)kt_toc_footer_space(toc);
    kt_toc_unref(&toc);
}

static void payloads(const uint8_t *data, size_t size)
{
    struct kt_slab_begin b;
    struct kt_stream_def def;
    struct kt_head head;
    const uint8_t *sig;
    size_t sig_size;
    struct kt_init *init = NULL;
    if (kt_slab_begin_decode(&b, data, size) == 0 && b.n_streams > 0)
        (void)!kt_stream_def_decode(&def, data + KT_SLAB_BEGIN_SIZE);
    if (size >= KT_STREAM_DEF_SIZE && kt_stream_def_decode(&def, data) == 0 && strlen(def.name) == 0)
        abort();
    if (kt_head_decode(&head, &sig, &sig_size, data, size) == 0 && sig + sig_size != data + size)
        abort();
    if (kt_init_payload_decode(&init, data, size) == 0)
        kt_init_unref(&init);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_meta meta;
    uint8_t page[KT_PAGE] = { 'K', 'T', 'R', 'G', 1 };
    header(data, size);
    trailer(data, size);
    payloads(data, size);
    memcpy(page + 8, data, size < 200 ? size : 200);
    kt_sha256(page + KT_PAGE - KT_HASH_SIZE, page, KT_PAGE - KT_HASH_SIZE);
    (void)!kt_meta_decode(&meta, page);
    return 0;
}
