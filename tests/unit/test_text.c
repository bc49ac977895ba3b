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

static const struct {
    const char *text, *shown;
} lines[] = {
    { "Gerbang Utara – kamera 1", "Gerbang Utara – kamera 1" },
    { "\xf0\x9f\x98\x80 \xd9\x84", "\xf0\x9f\x98\x80 \xd9\x84" },
    { "a\nb\r\t\x7f", "a\\x0ab\\x0d\\x09\\x7f" },
    { "\x1b[2Jx", "\\x1b[2Jx" },
    { "\xc2\x9b" "31m", "\\xc2\\x9b31m" },                       /* CSI in one character */
    { "\xe2\x80\xa8 \xe2\x80\xaegpj.exe", "\\xe2\\x80\\xa8 \\xe2\\x80\\xaegpj.exe" },
    { "\x9b" "31m \xff \xc3", "\\x9b31m \\xff \\xc3" },          /* no UTF-8 */
    { "\xc0\xaf \xed\xa0\x80", "\\xc0\\xaf \\xed\\xa0\\x80" },    /* overlong, half of a pair */
    { "", "" },
};

START_TEST(what_is_shown_in_a_terminal_has_no_control_characters)
{
    char out[128];
    ck_assert_uint_eq(kt_text_printable(out, sizeof(out), lines[_i].text), strlen(lines[_i].shown));
    ck_assert_str_eq(out, lines[_i].shown);
}
END_TEST

START_TEST(what_is_shown_ends_with_a_whole_character)
{
    char out[8];
    ck_assert_uint_eq(kt_text_printable(out, sizeof(out), "abcdef\xe2\x80\x93"), 6);
    ck_assert_str_eq(out, "abcdef");
    ck_assert_uint_eq(kt_text_printable(out, sizeof(out), "abcde\nf"), 5);
    ck_assert_uint_eq(kt_text_printable(out, 1, "a"), 0);
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
    tcase_add_loop_test(tc, what_is_shown_in_a_terminal_has_no_control_characters, 0, KT_ARRAY_SIZE(lines));
    tcase_add_test(tc, what_is_shown_ends_with_a_whole_character);
    tcase_add_test(tc, hex_is_read_back);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}
