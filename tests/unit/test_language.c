/* Texts and the language they are seen to be in; what can not be told is not guessed. */
#include "router/language.h"

#include <string.h>

#include "base/compiler.h"
#include "check.h"

static const struct {
    const char *text, *language;
} texts[] = {
    {"What is the capital of France?", "en"},
    {"How do I reset my password, and why does this fail?", "en"},
    {"Wie setze ich mein Passwort zurück und warum ist das nicht sicher?", "de"},
    {"Quelle est la capitale de la France et pourquoi?", "fr"},
    {"¿Cuál es la capital de Francia y cómo se llega?", "es"},
    {"Qual é a capital do Brasil e como chegar?", "pt"},
    {"Qual è la capitale della Francia e perché il treno è lento?", "it"},
    {"Wat is het verschil en hoe werkt dat voor een kind?", "nl"},
    {"Какая столица Франции?", "ru"},
    {"法国的首都是哪里？", "zh"},
    {"フランスの首都はどこですか。", "ja"},
    {"프랑스의 수도는 어디입니까?", "ko"},
    {"ما هي عاصمة فرنسا؟", "ar"},
    {"Ποια είναι η πρωτεύουσα;", "el"},
    {"", ""},
    {"ok", ""},
    {"12 * 30 = ?", ""},
    {"Paris Berlin Madrid", ""},
    {"Translate to Russian: кот. What is the word for that?", "en"},
    {"\xff\xfe\xc3", ""},
};

static void each(void **arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_string_equal(language_of(span_of(texts[i].text)), texts[i].language);
    assert_string_equal(language_of((struct span){NULL, 0}), "");
}

/* Of no cut of a text is anything read that is not there. */
static void cut(void **arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t n = 0; n <= strlen(texts[i].text); n++) {
            char *copy = test_malloc(n + 1);

            memcpy(copy, texts[i].text, n);
            (void)language_of((struct span){copy, n});
            test_free(copy);
        }
    }
}

static void long_texts_are_read_in_part(void **arg)
{
    static char text[200000];

    (void)arg;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "what is the name of that and "[i % 29];
    assert_string_equal(language_of((struct span){text, sizeof(text)}), "en");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each),
        cmocka_unit_test(cut),
        cmocka_unit_test(long_texts_are_read_in_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
