#include "storage/vault/hold_records.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/ring/chain.h"
#include "storage/vault/vault_file.h"

#define SIGN_US (5 * KT_SECOND_US)
#define BEHIND_US (70 * KT_SECOND_US)       /* signed heads are at most a minute apart */
#define ROOM_MIN (2u << 20)                 /* a second may be all that is asked for */

void kt_hold_chain_name(const char *mp4, char *out, size_t cap)
{
    snprintf(out, cap, "%.*s.chain", (int)(strlen(mp4) - strlen(".mp4")), mp4);
}

uint64_t kt_hold_chain_room(const struct kt_segment *s)
{
    const uint64_t records = s->last_seq - s->first_seq + 1;
    const uint64_t behind = s->duration_us > 0
        ? (uint64_t)((double)records * BEHIND_US / (double)s->duration_us) : records;
    return (records + behind) * KT_HEADER_SIZE + ROOM_MIN;
}

static json_t *list_records(const struct kt_record *recs, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_pack("[I,I,I,I,I,I]", (json_int_t)recs[i].seq,
            (json_int_t)recs[i].start_us, (json_int_t)recs[i].end_us, (json_int_t)recs[i].frames,
            (json_int_t)recs[i].size, (json_int_t)recs[i].flags));
    return list;
}

int kt_hold_records_query(kt_ring *ring, uint32_t stream, const struct kt_segment *s, struct kt_record **out,
                          size_t *n)
{
    size_t kept = 0;
    const int ret = kt_ring_query(ring, stream, s->start_us, s->start_us + s->duration_us, SIZE_MAX, out, n);
    for (size_t i = 0; ret == 0 && i < *n; i++)
        if ((*out)[i].seq >= s->first_seq && (*out)[i].seq <= s->last_seq && (*out)[i].run == s->run)
            (*out)[kept++] = (*out)[i];
    *n = kept;
    return ret;
}

/* ------------------------------ the chain ------------------------------ */

struct writing {
    kt_vault_file *file;
    uint64_t left;                      /* of the room there is */
};

static int on_header(void *user, const uint8_t header[KT_HEADER_SIZE])
{
    struct writing *w = user;
    if (w->left < KT_HEADER_SIZE)
        return -EFBIG;
    w->left -= KT_HEADER_SIZE;
    return kt_vault_file_append(w->file, header, KT_HEADER_SIZE);
}

static json_t *hex_string(const uint8_t *data, size_t size)
{
    char text[2 * 128 + 1];
    kt_hex(text, data, size);
    return json_string(text);
}

static json_t *describe_chain(const struct kt_chain_end *end, const struct kt_vault_file_info *info,
                              uint64_t first)
{
    return json_pack("{s:I,s:s,s:I,s:I,s:I,s:o,s:o,s:o}", "size", (json_int_t)info->size_bytes, "sha256",
                     info->sha256, "first", (json_int_t)first, "last",
                     (json_int_t)(first + end->records - 1), "signed_us", (json_int_t)end->fields.written_us,
                     "head", hex_string(end->head, KT_HEAD_SIGNED), "sig",
                     hex_string(end->sig, end->sig_size), "key", hex_string(end->key_der, end->key_size));
}

static int write_chain(kt_vault *vault, kt_ring *ring, const struct kt_record *first,
                       const struct kt_segment *s, const char *mp4, json_t **chain, uint64_t *bytes)
{
    char name[192];
    struct kt_chain_end end;
    struct kt_vault_file_info info;
    struct writing w = { .left = kt_hold_chain_room(s) };
    kt_hold_chain_name(mp4, name, sizeof(name));
    int ret = kt_ring_sign(ring, SIGN_US);
    if (ret == 0)
        ret = kt_vault_file_create(&w.file, kt_vault_dir(vault), name, s->start_us);
    if (ret == 0)
        ret = kt_ring_chain(ring, first, s->last_seq, on_header, &w, &end);
    if (ret == 0)
        ret = kt_vault_file_commit(&w.file, &info);
    kt_vault_file_discard(&w.file);
    if (ret < 0)
        return ret;
    *bytes = info.size_bytes;
    *chain = describe_chain(&end, &info, first->seq);
    return 0;
}

int kt_hold_records_make(kt_vault *vault, kt_ring *ring, uint32_t stream, const struct kt_segment *s,
                         const char *mp4, char **json, uint64_t *bytes)
{
    kt_cleanup(kt_freep) struct kt_record *recs = NULL;
    struct kt_ring_status status;
    size_t n = 0;
    json_t *chain = NULL;
    *bytes = 0;
    int ret = kt_hold_records_query(ring, stream, s, &recs, &n);
    if (ret < 0 || n == 0)
        return ret < 0 ? ret : -ESTALE;
    /* Without a chain the video is held all the same: it is what matters. */
    ret = write_chain(vault, ring, &recs[0], s, mp4, &chain, bytes);
    kt_ring_status(ring, &status);
    json_t *root = json_pack("{s:I,s:s,s:o,s:o,s:s}", "stream", (json_int_t)stream, "ring", status.uuid,
                             "records", list_records(recs, n), "chain", chain ? chain : json_null(), "why",
                             ret == 0 ? "" : ret == -EAGAIN ? "not signed yet" : kt_strerror(ret));
    *json = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return *json ? 0 : -ENOMEM;
}

json_t *kt_hold_records_parse(const struct kt_hold_file *file)
{
    json_t *root = file->records ? json_loads(file->records, 0, NULL) : NULL;
    if (json_is_object(root))
        return root;
    return json_pack("{s:o,s:n,s:s}", "records", json_is_array(root) ? root : json_array(), "chain", "why",
                     "held by an older version");
}
