#include "cache/admission.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "base/hash.h"
#include "cache/guard_text.h"

#define QUESTIONS_MAX 2    /* in one text */
#define REPEATED_MAX  3    /* times a word may stand in it */
#define SHORT_ANSWER  400  /* bytes: a longer one answers something after all */
#define READ_MAX      8192 /* bytes of a text that are looked at */
#define TIMELY_MAX    1024 /* bytes: a longer text is a document with a today of its own */
#define LOOP_WORDS    512  /* at the end of an answer, looked at */
#define LOOP_MIN      24   /* words that a loop goes on for */
#define LOOP_TIMES    4    /* and how often it comes round */

/* As fold() leaves them, a blank at both ends. */
static const char *const instructions[] = {
    " ignore the ",
    " ignore all ",
    " ignore any ",
    " ignore previous ",
    " ignore what ",
    " ignore my ",
    " ignore your ",
    " disregard ",
    " forget the ",
    " forget all ",
    " forget previous ",
    " forget what i ",
    " answer only ",
    " answer with ",
    " reply only ",
    " reply with ",
    " respond only ",
    " respond with ",
    " instead of answering ",
    " do not answer ",
    " say only ",
    " tell the user ",
    " new instructions ",
    " your instructions ",
    " system prompt ",
    " you are now ",
    " from now on ",
    " repeat after me ",
    NULL,
};
static const char *const no_answers[] = {
    " i don t know ",
    " i do not know ",
    " i m not sure ",
    " i am not sure ",
    " i cannot help ",
    " i can t help ",
    " i cannot answer ",
    " i can t answer ",
    " i m unable to ",
    " i am unable to ",
    " i m not able to ",
    " i am not able to ",
    " i cannot assist ",
    " i can t assist ",
    " as an ai ",
    " i don t have access ",
    " i do not have access ",
    " i don t have enough ",
    " i do not have enough ",
    NULL,
};
static const char *const moments[] = {
    " today ",          " today s ",      " todays ",          " tonight ",
    " tomorrow ",       " yesterday ",    " right now ",       " currently ",
    " at the moment ",  " at present ",   " so far ",          " latest ",
    " newest ",         " most recent ",  " the current ",     " this morning ",
    " this afternoon ", " this evening ", " this week ",       " this weekend ",
    " this month ",     " this year ",    " next week ",       " next weekend ",
    " next month ",     " last night ",   " last week ",       " last month ",
    " these days ",     " as of now ",    " what time is it ", NULL,
};
static const char *const back[] = {
    " as mentioned ",      " as i mentioned ",     " i mentioned ",
    " mentioned above ",   " mentioned earlier ",  " as noted ",
    " as i said ",         " as we discussed ",    " as discussed ",
    " as explained ",      " as described above ", " discussed above ",
    " discussed earlier ", " we talked ",          " earlier question ",
    " previous question ", " last question ",      " previous answer ",
    " earlier answer ",    " previous response ",  " previous message ",
    " you asked ",         " you mentioned ",      " you said ",
    " your earlier ",      " your previous ",      NULL,
};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* Lower case; one blank for whatever is neither letter nor digit, and at both ends. The
 * typographic apostrophe is no letter either. */
static void fold(struct span s, char *out)
{
    size_t n = 0;

    out[n++] = ' ';
    for (size_t i = 0; i < s.len && i < READ_MAX; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool apostrophe = s.len - i >= 3 && memcmp(s.ptr + i, "\xe2\x80\x99", 3) == 0;

        if (apostrophe)
            i += 2;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c - 'A' + 'a');
        if (!apostrophe && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80))
            out[n++] = (char)c;
        else if (out[n - 1] != ' ')
            out[n++] = ' ';
    }
    if (out[n - 1] != ' ')
        out[n++] = ' ';
    out[n] = '\0';
}

static bool has_phrase(struct span s, const char *const *phrases)
{
    char folded[READ_MAX + 3];

    fold(s, folded);
    for (const char *at = folded; at != NULL && at[1] != '\0'; at = strchr(at + 1, ' ')) {
        for (size_t i = 0; phrases[i] != NULL; i++) {
            if (phrases[i][1] == at[1] && strncmp(at, phrases[i], strlen(phrases[i])) == 0)
                return true;
        }
    }
    return false;
}

static bool has_word(struct span text, struct span word)
{
    char asked[READ_MAX + 3], sought[READ_MAX + 3];

    fold(text, asked);
    fold(word, sought);
    return strstr(asked, sought) != NULL;
}

/* "Really??" is one. */
static bool has_many_questions(struct span s)
{
    unsigned n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == '?' && (i == 0 || (s.ptr[i - 1] != '?' && s.ptr[i - 1] != '!'));
    return n > QUESTIONS_MAX;
}

static bool is_noisy(struct span s)
{
    struct guard_text t;

    guard_text_read(s, &t);
    for (size_t i = 0; i < t.count; i++) {
        unsigned n = 1;

        if (t.words[i].stop || t.words[i].number)
            continue;
        for (size_t k = i + 1; k < t.count; k++)
            n += t.words[k].hash == t.words[i].hash;
        if (n > REPEATED_MAX)
            return true;
    }
    return false;
}

static bool contains(struct span s, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i + n <= s.len && i < READ_MAX; i++) {
        if (memcmp(s.ptr + i, text, n) == 0)
            return true;
    }
    return false;
}

static bool names_the_day(struct span answer, uint64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);
    char text[4][32];
    struct tm t;

    if (gmtime_r(&now, &t) == NULL || t.tm_mon < 0 || t.tm_mon > 11)
        return false;
    snprintf(text[0], sizeof(text[0]), "%04d-%02d-%02d", t.tm_year + 1900, t.tm_mon + 1,
             t.tm_mday);
    snprintf(text[1], sizeof(text[1]), "%s %d, %d", months[t.tm_mon], t.tm_mday,
             t.tm_year + 1900);
    snprintf(text[2], sizeof(text[2]), "%d %s %d", t.tm_mday, months[t.tm_mon],
             t.tm_year + 1900);
    snprintf(text[3], sizeof(text[3]), "%02d.%02d.%04d", t.tm_mday, t.tm_mon + 1,
             t.tm_year + 1900);
    for (size_t i = 0; i < ARRAY_LEN(text); i++) {
        if (contains(answer, text[i]))
            return true;
    }
    return false;
}

bool admission_leans_back(struct span answer)
{
    return has_phrase(answer, back);
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

/* The last words, the last one first: their hashes. */
static size_t last_words(struct span s, uint64_t *words)
{
    size_t n = 0, end = s.len;

    while (n < LOOP_WORDS) {
        size_t from;

        while (end > 0 && !is_word_byte(s.ptr[end - 1]))
            end--;
        if (end == 0)
            break;
        for (from = end; from > 0 && is_word_byte(s.ptr[from - 1]); from--)
            ;
        words[n++] = hash_bytes((struct span){s.ptr + from, end - from}, 0);
        end = from;
    }
    return n;
}

/* A small model that is stuck says one thing again and again until its tokens run out. A
 * refrain or a table does not end so: the words between its lines differ. */
static bool is_stuck(struct span answer)
{
    uint64_t words[LOOP_WORDS];
    size_t n = last_words(answer, words);

    for (size_t period = 1; period * LOOP_TIMES <= n; period++) {
        size_t run = 0;

        while (run + period < n && words[run] == words[run + period])
            run++;
        run += period;
        if (run >= LOOP_MIN && run >= LOOP_TIMES * period)
            return true;
    }
    return false;
}

bool admission_timely(struct span question)
{
    return question.len <= TIMELY_MAX && has_phrase(question, moments);
}

const char *admission_no_answer(struct span answer, uint64_t now_ms)
{
    if (answer.len <= SHORT_ANSWER && has_phrase(answer, no_answers))
        return "no_answer";
    if (is_stuck(answer))
        return "nonsense";
    return names_the_day(answer, now_ms) ? "dated" : NULL;
}

static size_t word_end(struct span s, size_t at)
{
    while (at < s.len && is_word_byte(s.ptr[at]))
        at++;
    return at;
}

/* "Hi Anna, your …": somebody by name whom the question does not name. "Hello there", "Dear
 * Sir" are nobody. */
static bool greets_somebody(struct span question, struct span answer)
{
    static const char *const greetings[] = {" hi ",        " hello ",        " hey ",
                                            " dear ",      " welcome ",      " good morning ",
                                            " thank you ", " good evening ", NULL};
    static const char *const nobody[] = {
        " sir ",    " madam ",    " all ",    " world ", " team ", " i ", " everyone ",
        " hiring ", " customer ", " friend ", " there ", " for ",  NULL};
    size_t from = 0, to;
    struct span name;

    while (from < answer.len && !is_word_byte(answer.ptr[from]))
        from++;
    to = word_end(answer, from);
    if (!has_phrase((struct span){answer.ptr + from, to - from}, greetings)) {
        /* Two words. */
        to = to < answer.len ? word_end(answer, to + 1) : to;
        if (!has_phrase((struct span){answer.ptr + from, to - from}, greetings))
            return false;
    }
    if (to + 1 >= answer.len || answer.ptr[to] != ' ')
        return false;
    name = (struct span){answer.ptr + to + 1, word_end(answer, to + 1) - to - 1};
    if (name.len < 2 || name.ptr[0] < 'A' || name.ptr[0] > 'Z')
        return false;
    return !has_phrase(name, nobody) && !has_word(question, name);
}

const char *admission_exact_only(struct span question, struct span answer, uint64_t now_ms)
{
    if (has_phrase(question, instructions))
        return "instruction";
    if (has_many_questions(question))
        return "many_questions";
    if (is_noisy(question))
        return "noise";
    if (greets_somebody(question, answer))
        return "personal";
    return admission_no_answer(answer, now_ms);
}
