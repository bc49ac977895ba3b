/* The headers of a stretch of the log, up to the head that was signed. */
#include "storage/ring/chain.h"

#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

static kt_ring *ring;
static struct kit_feed a, b;

struct seen {
    uint64_t n, media, slabs, first, last;
    uint8_t head[KT_HASH_SIZE];
    bool linked;
    int stop_after;                     /* 0: never */
};

static int on_header(void *user, const uint8_t bytes[KT_HEADER_SIZE])
{
    struct seen *s = user;
    struct kt_header h;
    ck_assert_int_eq(kt_header_decode(&h, bytes), 0);
    if (s->n > 0)
        s->linked = s->linked && h.seq == s->last + 1 && memcmp(h.prev, s->head, KT_HASH_SIZE) == 0;
    else
        s->first = h.seq;
    memcpy(s->head, h.hash, KT_HASH_SIZE);
    s->last = h.seq;
    s->media += h.type == KT_TYPE_MEDIA;
    s->slabs += h.type == KT_TYPE_SLAB;
    return ++s->n == (uint64_t)s->stop_after ? -ECANCELED : 0;
}

static void push(int seconds2)
{
    for (int i = 0; i < seconds2; i++) {
        kit_push_n(&a, GOP);
        kit_push_n(&b, GOP);
        kit_flush(ring);
    }
}

static void setup(void)
{
    kit_setup();
    ring = kit_open();
    a = kit_feed(ring, "a/main", 15000);
    b = kit_feed(ring, "b/main", 3000);
    push(15);                           /* 30 s; two slabs sealed */
}

static void teardown(void)
{
    kt_ring_close(&ring);
    kt_init_unref(&a.init);
    kt_init_unref(&b.init);
    kit_teardown();
}

static struct kt_record *records(size_t *n)
{
    struct kt_record *recs = NULL;
    ck_assert_int_eq(kt_ring_query(ring, a.stream, 0, INT64_MAX, SIZE_MAX, &recs, n), 0);
    ck_assert_uint_gt(*n, 10);
    return recs;
}

START_TEST(a_chain_runs_through_all_slabs_to_a_signature)
{
    size_t n;
    struct seen s = { .linked = true };
    struct kt_chain_end end;
    struct kt_record *recs = records(&n);
    ck_assert_int_eq(kt_ring_chain(ring, &recs[0], recs[n - 1].seq, on_header, &s, &end), -EAGAIN);
    ck_assert_int_eq(kt_ring_sign(ring, 10 * KT_SECOND_US), 0);
    s = (struct seen){ .linked = true };
    ck_assert_int_eq(kt_ring_chain(ring, &recs[0], recs[n - 1].seq, on_header, &s, &end), 0);
    ck_assert(s.linked);
    ck_assert_uint_eq(s.first, recs[0].seq);
    ck_assert_uint_gt(s.last, recs[n - 1].seq);
    ck_assert_uint_ge(s.media + s.slabs, 2 * n - 2);    /* a batch that ends a slab may cut one stream only */
    ck_assert_uint_ge(s.slabs, 2);
    ck_assert_uint_eq(end.records, s.n);
    ck_assert_uint_eq(end.fields.seq + 1, s.last);
    ck_assert_int_eq(kt_key_verify(end.key_der, end.key_size, end.head, KT_HEAD_SIGNED, end.sig, end.sig_size), 0);
    end.head[40] ^= 1;
    ck_assert_int_lt(kt_key_verify(end.key_der, end.key_size, end.head, KT_HEAD_SIGNED, end.sig, end.sig_size), 0);
    /* Again: nothing new to sign. */
    ck_assert_int_eq(kt_ring_sign(ring, 10 * KT_SECOND_US), 0);
    free(recs);
}
END_TEST

START_TEST(a_chain_ends_at_the_first_signature_behind)
{
    size_t n;
    struct seen s = { .linked = true };
    struct kt_chain_end end;
    struct kt_record *recs = records(&n);
    ck_assert_int_eq(kt_ring_sign(ring, 10 * KT_SECOND_US), 0);
    push(2);
    ck_assert_int_eq(kt_ring_sign(ring, 10 * KT_SECOND_US), 0);
    ck_assert_int_eq(kt_ring_chain(ring, &recs[n - 2], recs[n - 1].seq, on_header, &s, &end), 0);
    ck_assert(s.linked);
    ck_assert_uint_le(s.n, 8);
    s = (struct seen){ .stop_after = 2 };
    ck_assert_int_eq(kt_ring_chain(ring, &recs[0], recs[n - 1].seq, on_header, &s, &end), -ECANCELED);
    free(recs);
}
END_TEST

START_TEST(what_was_overwritten_is_said)
{
    size_t n;
    struct seen s = { .linked = true };
    struct kt_chain_end end;
    struct kt_record *recs = records(&n);
    push(60);                           /* once around */
    ck_assert_int_eq(kt_ring_chain(ring, &recs[0], recs[n - 1].seq, on_header, &s, &end), -ESTALE);
    free(recs);
}
END_TEST

START_TEST(a_damaged_header_is_no_chain)
{
    size_t n;
    struct seen s = { .linked = true };
    struct kt_chain_end end;
    char path[128];
    struct kt_record *recs = records(&n);
    ck_assert_int_eq(kt_ring_sign(ring, 10 * KT_SECOND_US), 0);
    snprintf(path, sizeof(path), "%s/slab-%06u.kts", kit_dir, recs[3].slab);
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    fseek(f, (long)recs[3].offset - KT_HEADER_SIZE + 72, SEEK_SET);
    fputc(0x55, f);
    fclose(f);
    ck_assert_int_eq(kt_ring_chain(ring, &recs[0], recs[n - 1].seq, on_header, &s, &end), -EBADMSG);
    free(recs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_chain");
    TCase *t = tcase_create("ring_chain");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_chain_runs_through_all_slabs_to_a_signature);
    tcase_add_test(t, a_chain_ends_at_the_first_signature_behind);
    tcase_add_test(t, what_was_overwritten_is_said);
    tcase_add_test(t, a_damaged_header_is_no_chain);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}
