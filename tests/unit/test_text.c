#include "server/base/text.h"

#include <string.h>

#include "tests/unit/run_suite.h"

static const struct {
    const char *url, *shown;
} urls[] = {
    { "rtsp://admin:secret@10.0.0.1/s", "rtsp://admin:***@10.0.0.1/s" },
    { "rtsp://admin:p@ss:w@10.0.0.1:554/s?a=b@c", "rtsp://admin:***@10.0.0.1:554/s?a=b@c" },
    { "rtsp://admin@10.0.0.1/s", "rtsp://admin@10.0.0.1/s" },
    { "rtsp://10.0.0.1/s", "rtsp://10.0.0.1/s" },
    { "admin:secret@10.0.0.1/s", "admin:***@10.0.0.1/s" },
    { "", "" },
};

START_TEST(no_password_of_a_url_is_shown)
{
    char out[128];
    kt_url_redact(out, sizeof(out), urls[_i].url);
    ck_assert_str_eq(out, urls[_i].shown);
}
END_TEST

static const struct {
    const char *id;
    bool valid;
} ids[] = {
    { "gerbang-utara", true }, { "cam1", true }, { "a", true }, { "", false }, { "-a", false },
    { "a-", false }, { "A", false }, { "a/b", false }, { "..", false }, { "a b", false },
    { "123456789012345678901234567890123456789012345678", true },
    { "1234567890123456789012345678901234567890123456789", false },
};

START_TEST(an_id_is_safe_as_a_file_name)
{
    ck_assert_int_eq(kt_id_valid(ids[_i].id), ids[_i].valid);
}
END_TEST

START_TEST(hex_is_read_back)
{
    const uint8_t data[4] = { 0, 0x7f, 0x80, 0xff };
    uint8_t back[4];
    char hex[9];
    kt_hex(hex, data, 4);
    ck_assert_str_eq(hex, "007f80ff");
    ck_assert_int_eq(kt_unhex(back, 4, hex), 0);
    ck_assert_mem_eq(data, back, 4);
    ck_assert_int_lt(kt_unhex(back, 4, "007f80f"), 0);
    ck_assert_int_lt(kt_unhex(back, 4, "007f80fg"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tc = tcase_create("text");
    tcase_add_loop_test(tc, no_password_of_a_url_is_shown, 0, KT_ARRAY_SIZE(urls));
    tcase_add_loop_test(tc, an_id_is_safe_as_a_file_name, 0, KT_ARRAY_SIZE(ids));
    tcase_add_test(tc, hex_is_read_back);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}
