/* A table a guard: pairs that it must refuse, and pairs that no guard may refuse. */
#include "cache/guard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cache/calibration.h"
#include "cache/decision.h"
#include "cache/decision_record.h"
#include "cache/explain.h"
#include "cache/guard_common.h"
#include "cache/guard_list.h"

#include "check.h"

/* fires: the guard's name; NULL: none may. */
struct pair {
    const char *a, *b, *fires;
};

/* What is explained is what was decided. */
static void explains(struct span a, struct span b, const struct guard_outcome *decided)
{
    static struct explanation e;
    const char *first = NULL;

    explain_pair(a, b, 0.9F, &e);
    assert_true(e.outcome.fired == decided->fired);
    assert_true(e.outcome.overlap == decided->overlap);
    assert_true(e.outcome.exchanged == decided->exchanged);
    assert_int_equal(e.outcome.words, decided->words);
    assert_true(e.outcome.names == decided->names);
    assert_true(e.unguarded > 0 && e.unguarded < 1);
    for (size_t i = 0; i < GUARD_COUNT && first == NULL; i++) {
        if (e.guards[i].verdict == GUARD_FIRED)
            first = e.guards[i].name;
    }
    assert_true(first == decided->fired);
}

static void decide(const struct pair *pairs, size_t count)
{
    size_t wrong = 0;

    for (size_t i = 0; i < count; i++) {
        const char *want = pairs[i].fires != NULL ? pairs[i].fires : "nothing";
        struct guard_outcome there, back;

        guard_check(span_of(pairs[i].a), span_of(pairs[i].b), &there);
        guard_check(span_of(pairs[i].b), span_of(pairs[i].a), &back);
        explains(span_of(pairs[i].a), span_of(pairs[i].b), &there);
        /* Whoever came first, the verdict is the same. */
        if (strcmp(there.fired != NULL ? there.fired : "nothing", want) != 0 ||
            strcmp(back.fired != NULL ? back.fired : "nothing", want) != 0) {
            print_error("'%s' / '%s': want %s, got %s and %s\n", pairs[i].a, pairs[i].b, want,
                        there.fired != NULL ? there.fired : "nothing",
                        back.fired != NULL ? back.fired : "nothing");
            wrong++;
        }
        assert_true(there.overlap >= 0 && there.overlap <= 1);
        assert_true(there.exchanged >= 0);
        assert_int_equal(there.words, back.words);
        assert_true(there.names == back.names);
    }
    assert_int_equal(wrong, 0);
}

/* clang-format off */

static void numbers(void **state)
{
    static const struct pair t[] = {
        {"Is port 6379 open by default?", "Is port 6380 open by default?", "number"},
        {"Give me 3 tips for an interview", "Give me 5 tips for an interview", "number"},
        {"Give me 3 tips for an interview", "Give me three tips for an interview", NULL},
        {"Give me one tip for an interview", "Give me two tips for an interview", "number"},
        {"Who was the first president?", "Who was the third president?", "number"},
        {"Who was the 3rd president?", "Who was the third president?", NULL},
        {"Who fell in World War 2?", "Who fell in World War II?", NULL},
        {"Who fell in World War II?", "Who fell in World War I?", "amount"},
        {"What is new in Python 3.10?", "What is new in Python 3.1?", "number"},
        {"What is new in Python 3.10?", "What's new in Python 3.10?", NULL},
        {"How do I install version 1.2.3?", "How do I install version 1.2.4?", "number"},
        {"Set up 2fa", "Set up 3fa", "number"},
        {"What happened in 1989?", "What happened in 1991?", "number"},
        {"What did people wear in the 1970s?", "What did people wear in the 1980s?", "number"},
        {"What is 20% of 50?", "What is 20 percent of 50?", NULL},
        {"What is 20% of 50?", "What is 30% of 50?", "number"},
        {"How do I get to 10,000 steps a day?", "How do I get to 10000 steps a day?", NULL},
        {"Best laptop under 15k", "Best laptop under 15000", NULL},
        {"Best laptop under 15k", "Best laptop under 20k", "number"},
        {"The best phone below two hundred dollars", "The best phone below $200", NULL},
        {"The best phone below twenty five dollars", "The best phone below $25", NULL},
        {"Wake me at 7pm", "Wake me at 7 am", "number"},
        {"Wake me at 7pm", "Wake me at 19:00", NULL},
        {"Wake me at 7:30", "Wake me at 7:45", "number"},
        {"What is on for May 2nd?", "What is on for May 2?", NULL},
        {"Flights on 12/21/17", "Flights on 12/22/17", "number"},
        {"Is room 101 free?", "Is room 102 free?", "number"},
        {"A house for $1.5 million", "A house for 1,500,000 dollars", NULL},
        {"A table for five", "A table for 5", NULL},
        {"A house for 4 lakhs", "A house for 400000", NULL},
        {"A house for 2 millions", "A house for 3 millions", "number"},
        {"3. How deep is the lake?", "How deep is the lake?", NULL},
        {"3. How deep is the lake?", "4. How deep is the lake?", NULL},
        {"7 lakes are deep", "8 lakes are deep", "number"},
        {"What is the population of 5 largest cities", "What is the population of 10 largest cities", "number"},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void units(void **state)
{
    static const struct pair t[] = {
        {"How long is 90 minutes?", "How long is 1.5 hours?", NULL},
        {"How long is half an hour?", "How long is 30 minutes?", NULL},
        {"What is 1,000 dollars in euros?", "What is $1000 in euros?", NULL},
        {"What is $100 in yen?", "What is \xe2\x82\xac" "100 in yen?", "number"},
        {"What is 100 dollars in yen?", "What is 100 euros in yen?", "number"},
        {"How far is 10km?", "How far is 10 kilometers?", NULL},
        {"How far is 10 km?", "How far is 10 miles?", "number"},
        {"How do I lose 5 pounds?", "How do I lose 5 lbs?", NULL},
        {"How do I spend 5 pounds?", "How do I spend \xc2\xa3" "5?", NULL},
        {"How do I lose 5 pounds?", "How do I lose 5 kg?", "number"},
        {"How far is the moon in km?", "How far is the moon in miles?", "unit"},
        {"How far is the moon in km?", "How far is the moon in kilometres?", NULL},
        {"What does parking cost per hour?", "What does parking cost per day?", "unit"},
        {"What does it cost in dollars?", "What does it cost in euros?", "unit"},
        {"How hot is it in Celsius?", "How hot is it in Fahrenheit?", "unit"},
        {"Is 512 MB of memory enough?", "Is 512 GB of memory enough?", "number"},
        {"Is 2 GB of memory enough?", "Is 2000 MB of memory enough?", NULL},
        {"Is 2 years long?", "Is 24 months long?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void amounts(void **state)
{
    static const struct pair t[] = {
        {"How can I tile a bathroom?", "How can I tile a bathroom in 10 days?", "amount"},
        {"What is new in Java?", "What is new in Java 8?", "amount"},
        {"How do I learn to play chess well?", "What should I learn first to play chess well?", NULL},
        {"Which one is better?", "Which is better?", NULL},
        {"What are the 5 best tents?", "What are the best tents?", NULL},
        {"Name the top 10 tents", "Name the top tents", NULL},
        {"What are the two types of rock?", "What are the types of rock?", NULL},
        {"Which tents were best in 2019?", "Which tents were best?", "amount"},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void negations(void **state)
{
    static const struct pair t[] = {
        {"Can I cancel my order?", "Can't I cancel my order?", "negation"},
        {"Which foods contain gluten?", "Which foods do not contain gluten?", "negation"},
        {"Which foods contain gluten?", "Which foods dont contain gluten?", "negation"},
        {"Is coffee healthy?", "Is coffee not healthy?", "negation"},
        {"How do I travel with a passport?", "How do I travel without a passport?", "negation"},
        {"Is it possible to fly?", "Is it impossible to fly?", "negation"},
        {"Is it impossible to fly?", "Is it not possible to fly?", NULL},
        {"I can't reach the printer", "I am unable to reach the printer", NULL},
        {"I cannot reach the printer", "I can't reach the printer", NULL},
        {"I cannot reach the printer", "i cant reach the printer", NULL},
        {"Is this contract legal?", "Is this contract illegal?", "negation"},
        {"How do I enable two-factor authentication?", "How do I disable two-factor authentication?", "negation"},
        {"How do I enable two-factor authentication?", "How can I turn on two-factor authentication?", NULL},
        {"How do I activate the sprinkler?", "How do I deactivate the sprinkler?", "negation"},
        {"Smoking hotels in Rome", "Non-smoking hotels in Rome", "negation"},
        {"Is it useful to learn Latin?", "Is it useless to learn Latin?", "negation"},
        {"Is it wise or not to prune roses in fall?", "Is it wise to prune roses in fall?", NULL},
        {"What is a fuse box for?", "I don't know what a fuse box is for", NULL},
        {"I can't open the attic window", "Help me open the attic window", NULL},
        {"The plumber is yet to arrive", "The plumber has not arrived", NULL},
        {"My parcel has not arrived", "My parcel is missing", NULL},
        {"Did the payment fail?", "Did the payment not go through?", NULL},
        {"How do I stop sneezing?", "How do I sneeze?", "negation"},
        {"How do I stop sneezing?", "How do I overcome sneezing?", NULL},
        {"Everyone except members may enter", "Members may enter", NULL},
        {"When is no visa needed for Japan?", "When is a visa needed for Japan?", "negation"},
        {"Should I never drink milk?", "Should I drink milk?", "negation"},
        {"What does not only mean?", "What does only mean?", NULL},
        {"Is honesty important?", "Is dishonesty important?", "negation"},
        {"What is a non linear spring?", "What is a nonlinear spring?", NULL},
        {"What is a non-linear spring?", "What is a linear spring?", "negation"},
        {"Are these numbers regular?", "Are these numbers irregular?", "negation"},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void antonyms(void **state)
{
    static const struct pair t[] = {
        {"Is port 6379 open by default?", "Is port 6379 closed by default?", "antonym"},
        {"What should I do before surgery?", "What should I do after surgery?", "antonym"},
        {"What is the highest mountain?", "What is the lowest mountain?", "antonym"},
        {"What is the largest ocean on Earth?", "What is the smallest ocean on Earth?", "antonym"},
        {"What is the largest ocean on Earth?", "What is the biggest ocean on Earth?", NULL},
        {"Upload a file", "Download a file", "antonym"},
        {"How do I turn on the heating?", "How do I turn off the heating?", "antonym"},
        {"Should I buy gold now?", "Should I sell gold now?", "antonym"},
        {"Why are prices rising?", "Why are prices falling?", "antonym"},
        {"What are the advantages of nuclear power?", "What are the disadvantages of nuclear power?", "negation"},
        {"What are the benefits of fasting?", "What are the risks of fasting?", "antonym"},
        {"How do I add a user to the group?", "How do I remove a user from the group?", "antonym"},
        {"How do I lock a file?", "How do I unlock a file?", "negation"},
        {"How do I freeze a ledger?", "How do I unfreeze a ledger?", "negation"},
        {"What is the maximum upload size?", "What is the minimum upload size?", "antonym"},
        {"Is the pool indoor?", "Is the pool outdoor?", "antonym"},
        {"What are good habits?", "What are bad habits?", "antonym"},
        {"What do men want?", "What do women want?", "antonym"},
        {"Which is the fastest car?", "Which is the quickest car?", NULL},
        {"How do I close the valve?", "How can I get the valve closed?", NULL},
        {"How do I delete my account?", "How do I remove my account?", NULL},
        {"Show me cheap hotels", "Show me expensive hotels", "antonym"},
        {"How do I increase the font size?", "How do I decrease the font size?", "antonym"},
        {"Can I pay by credit card?", "Can I pay by debit card?", "antonym"},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void times(void **state)
{
    static const struct pair t[] = {
        {"What is the weather like in January?", "What is the weather like in February?", "time"},
        {"What is the weather like in Jan?", "What is the weather like in January?", NULL},
        {"Is it warm in Rome in May?", "Is it warm in Rome in March?", "time"},
        {"May I bring a dog?", "Can I bring a dog?", NULL},
        {"What did we sell yesterday?", "What did we sell today?", "time"},
        {"Are you open on Monday?", "Are you open on Sunday?", "time"},
        {"Are you open on Mondays?", "Are you open on Monday?", NULL},
        {"What did I spend last week?", "What did I spend this week?", "time"},
        {"Show the sales of last month", "Show the sales of next month", "time"},
        {"Send me a daily report", "Send me a weekly report", "time"},
        {"Where to go in summer?", "Where to go in winter?", "antonym"},
        {"What are the results of Q1?", "What are the results of Q2?", "number"},
        {"What are the results of the first quarter?", "What are the results of the second quarter?", "number"},
        {"What is the weather in Rome?", "What is the weather in Rome tomorrow?", "moment"},
        {"What is the weather in Rome?", "What is the weather in Rome today?", NULL},
        {"Is the bank open?", "Is the bank open on Sunday?", "moment"},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void directions(void **state)
{
    static const struct pair t[] = {
        {"Find flights from Paris to Rome", "Find flights from Rome to Paris", "direction"},
        {"Find flights from Paris to Rome", "Find flights to Rome from Paris", NULL},
        {"Find flights from Paris to Rome", "Find flights to Paris from Rome", "direction"},
        {"How do I convert miles to km?", "How do I convert km to miles?", "direction"},
        {"Translate English to French", "Translate French to English", "direction"},
        {"Import Excel into Word", "Import Word into Excel", "direction"},
        {"Is a dog bigger than a cat?", "Is a cat bigger than a dog?", "swapped"},
        {"Is tea better than coffee?", "Is coffee better than tea?", "swapped"},
        {"How many feet are in a mile?", "How many miles are in a foot?", "direction"},
        {"Why choose Java over Python?", "Why choose Python over Java?", "direction"},
        {"How do I get from work to home?", "How do I get home from work?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void arguments(void **state)
{
    static const struct pair t[] = {
        {"Does the company own the bank?", "Does the bank own the company?", "swapped"},
        {"Did Google buy Motorola?", "Did Motorola buy Google?", "swapped"},
        {"Did Google buy Motorola?", "Was Motorola bought by Google?", NULL},
        {"Did Google use Motorola?", "Was Google used by Motorola?", "swapped"},
        {"Did Google use Motorola?", "Was Motorola used by Google?", NULL},
        {"What is the difference between tea and coffee?", "What is the difference between coffee and tea?", NULL},
        {"Tea vs coffee: which is healthier?", "Coffee vs tea: which is healthier?", NULL},
        {"Is John married to Mary?", "Is Mary married to John?", NULL},
        {"What are quiet beaches to camp at?", "What are some beaches that are quiet to camp at?", NULL},
        {"How can I sharpen the blade of the mower?", "How can I sharpen the mower's blade?", NULL},
        {"Why was the window of the kitchen repaired?", "Why have they repaired the kitchen window?", NULL},
        {"Is it possible to rent bicycles?", "Is bicycle rent possible?", NULL},
        {"Can dogs chase cats?", "Can cats chase dogs?", "swapped"},
        {"Why is the village road closed?", "Why has the village closed the road?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void names(void **state)
{
    static const struct pair t[] = {
        {"What is the capital of France?", "What is the capital of Germany?", "name"},
        {"What's the capital of France?", "What is the capital of France?", NULL},
        {"what is the capital of france", "what is the capital of norway", "name"},
        {"How do I read a file in Python?", "How do I read a file in Ruby?", "name"},
        {"how do i deploy to kubernetes", "how do i deploy to heroku", "name"},
        {"how do i deploy to kubernetes", "how do i deploy to kubernets", NULL},
        {"How old is Angela Merkel?", "How old is Barack Obama?", "name"},
        {"Who wrote Hamlet?", "Who wrote Macbeth?", "name"},
        /* Of several conflicts the heaviest counts, whichever comes first. */
        {"Which is the best RO water filter in Norway?", "Which is the best water filter in Peru?", "name"},
        {"Can Home in Norway and Math be sold together with the old house in the green garden?",
         "Can Mathematics and Hall in Peru be sold together with the old house in the green garden?", "name"},
        /* A country, its people and its language. */
        {"Which rivers flow through Britain?", "Which British rivers are there?", NULL},
        {"What do the Japanese think of rice?", "What does Japan think of rice?", NULL},
        {"Do you believe in astrology?", "Do you believe in astrologers?", NULL},
        {"What is the capital of Slovakia?", "What is the capital of Slovenia?", "name"},
        {"How large is Austria?", "How large is Australia?", "name"},
        {"How do I chat on Chat Roulette?", "How do I chat on Chatroulette?", NULL},
        {"Where do I meet anybody in Leeds?", "Where do I meet anyone in Leeds?", NULL},
        {"Who designed the C standard?", "Who designed the C++ standard?", "name"},
        {"Who designed the C# standard?", "Who designed the C++ standard?", "name"},
        {"How do I rebuild the carburetor?", "how do i rebuild the carburator", NULL},
        {"How do I rebuild the engine?", "How can I rebuild the engine?", NULL},
        {"What is aspirin used for?", "What is ibuprofen used for?", "name"},
        {"How many cities are there?", "How many city are there?", NULL},
        {"WHAT IS THE BEST PHONE", "What is the best phone", NULL},
        {"Is the U.S.A. larger than China?", "Is the USA larger than China?", NULL},
        {"My e-mail is not working", "My email is not working", NULL},
        {"avoid repetitive work in the kitchen", "avoid monotonous work in the kitchen", NULL},
        {"who has forgot the garden key", "who has forgotten the garden key", NULL},
        {"Who teaches mathematics in Delft?", "Who teaches maths in Delft?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

/* Where the wording differs as well, a conflict is no more than a doubt. */
static void doubts(void **state)
{
    static const struct {
        struct pair pair;
        size_t guard;
    } t[] = {
        {{"How do I lose 5 kilos quickly?", "What is the best diet to get rid of 8 kilos?", NULL}, 0},
        {{"What did the firm earn in 2019?", "In 2020, how high was the profit of this firm?", NULL}, 0},
        {{"How can I train a dog?", "How do I train a dog in 6 weeks?", NULL}, 1},
        {{"Can the tenant not paint walls?", "May a tenant paint some walls?", NULL}, 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        static struct explanation e;
        struct guard_outcome g;

        decide(&t[i].pair, 1);
        explain_pair(span_of(t[i].pair.a), span_of(t[i].pair.b), 0.9F, &e);
        if (e.guards[t[i].guard].verdict != GUARD_DOUBTED)
            fail_msg("'%s' / '%s': %s %s", t[i].pair.a, t[i].pair.b, e.guards[t[i].guard].name,
                     guard_verdict_name(e.guards[t[i].guard].verdict));
        guard_check(span_of(t[i].pair.a), span_of(t[i].pair.b), &g);
        assert_true(g.doubt > 0);
        assert_true(decision_probability(0.9F, &g) < e.unguarded);
    }
}

static void quotes(void **state)
{
    static const struct pair t[] = {
        {"What does `git reset` do?", "What does `git revert` do?", "quote"},
        {"Open src/main.c for me", "Open src/proxy.c for me", "quote"},
        {"What does ls -l do?", "What does ls -a do?", "quote"},
        {"What does grep -v do?", "What does grep -V do?", "quote"},
        {"What does --force do?", "What does --quiet do?", "quote"},
        {"Who said \"to be or not to be\"?", "Who said \"I think therefore I am\"?", "quote"},
        {"How do you say 'hello' in French?", "How do you say 'goodbye' in French?", "quote"},
        {"Read config.yaml", "Read setup.yaml", "quote"},
        {"What is get_user for?", "What is set_user for?", "quote"},
        {"What is on https://a.example.com/x?", "What is on https://a.example.com/y?", "quote"},
        {"Write to ann@example.com", "Write to bob@example.com", "quote"},
        {"Is his/her name known?", "Is his or her name known?", NULL},
        {"What does `ls` do?", "What does ls do?", NULL},
        {"What does \xe2\x80\x9cvis major\xe2\x80\x9d mean?", "What does \"vis minor\" mean?", "quote"},
        {"Don't the dogs' owners care?", "Do the dogs' owners not care?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void degrees(void **state)
{
    static const struct pair t[] = {
        {"What is a faster way to Rome?", "What is the fastest way to Rome?", "degree"},
        {"Is there a better way to Rome?", "Is there a best way to Rome?", NULL},
        {"Which costs more?", "Which costs most?", "degree"},
        {"What is the best phone?", "Which is the best phone?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void kinds(void **state)
{
    static const struct pair t[] = {
        {"My elbow hurts when I climb stairs, why?", "My ankle hurts when I climb stairs, why?",
         "kind"},
        {"Why do my teeth hurt in the cold?", "Why do my fingers hurt in the cold?", "kind"},
        {"How is measles treated in children?", "How is pneumonia treated in children?", "kind"},
        {"Why does my whole body ache after a run?", "Why does my neck ache after a run?", "kind"},
        /* A word and what it is a kind of; two words for one thing. */
        {"How long does this illness last?", "How long does this measles last?", NULL},
        {"Why does my stomach hurt at night?", "Why does my belly hurt at night?", NULL},
        /* Of two kinds; one in both. */
        {"What helps an ankle that hurts?", "What helps when an ankle hurts?", NULL},
        /* The rest is another question: it may be another way to ask the same. */
        {"My elbow hurts, what now?", "Which doctor looks after an aching knee joint?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void modifiers(void **state)
{
    static const struct pair t[] = {
        {"Is the old mill near Ulm a museum?", "Is the old mill near Ulm a private museum?",
         "modifier"},
        {"Is Ann Bell a lawyer?", "Is Ann Bell an excellent lawyer?", "modifier"},
        {"We met at noon. Was the man in grey a teacher?",
         "We met at noon. Was the man in grey a strict teacher?", "modifier"},
        {"Will the winner of the race be a hero?", "Will the winner of the race be a sad hero?",
         "modifier"},
        {"Is chess a sport at the games?", "Is chess a real sport at the games?", "modifier"},
        /* Of "is", not of what it is. */
        {"Is Ann Bell a lawyer?", "Is Ann Bell really a lawyer?", NULL},
        /* No yes or no: it changes little. */
        {"What is a way to cook rice?", "What is a good way to cook rice?", NULL},
        {"Is there a way to cook rice?", "Is there an easy way to cook rice?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void question_words(void **state)
{
    static const struct pair t[] = {
        {"Who invented the telephone?", "When invented the telephone?", "question"},
        {"When was the bridge built?", "Where was the bridge built?", "question"},
        {"Why is the sky blue?", "Is the sky blue?", "question"},
        {"Why did he leave?", "When did he leave?", "question"},
        {"How do I rotate my tent?", "Why do I rotate my tent?", "question"},
        {"How do I find my locker?", "Where do I find my locker?", NULL},
        {"What is the best phone?", "Which is the best phone?", NULL},
        {"How do I fold my tent?", "Can I fold my tent?", NULL},
        {"Why do swallows leave?", "When and why do swallows leave?", NULL},
        {"Where is the nearest bank?", "Can you tell me where the nearest bank is?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void tenses(void **state)
{
    static const struct pair t[] = {
        {"When do I water the cactus?", "When did I water the cactus?", "tense"},
        {"What was the Hanseatic League?", "What is the Hanseatic League?", NULL},
        {"Who will win the cup?", "Who did win the cup?", "tense"},
        {"How do I water the cactus?", "How should I water the cactus?", NULL},
        {"Did the war end?", "Has the war ended?", NULL},
        {"How did you find a flat abroad?", "How do I find a flat abroad?", NULL},
        {"What would you do if he was late?", "What will you do if he is late?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void persons(void **state)
{
    static const struct pair t[] = {
        {"What is my name?", "What is your name?", "person"},
        {"Where is his car?", "Where is her car?", "person"},
        {"How do I fix my car?", "How do you fix your car?", NULL},
        {"How do I fix my car?", "How do I fix a car?", NULL},
        {"Is my boat insured?", "Is his boat insured?", "person"},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

/* Found by minimal edits of real questions: bench/quality.sh causes. */
static void edits(void **state)
{
    static const struct pair t[] = {
        {"How do you know when it is ripe?", "How do you not know when it is ripe?", "negation"},
        {"What should guests know about the house?", "What should guests not know about the house?", "negation"},
        {"I don't know how to reset my PIN", "How do I reset my PIN?", NULL},
        {"I can't remember how I set it up", "I don't remember how I set it up", NULL},
        {"not sure how to reset my PIN", "how to reset my PIN", NULL},
        {"Who was the first man on the boat?", "Who was the last man on the boat?", "antonym"},
        {"a flight to Oslo for under $500", "a flight to Oslo for above $500", "antonym"},
        {"What was your first job?", "What was your 1st job?", NULL},
        {"send forty dollars from me to Carol", "send forty dollars from Carol to me", "direction"},
        {"I am away from May to October", "I am away from October to May", "direction"},
        {"Is it cheap to send a box from Canada to the US?", "Is it cheap to send a box from the US to Canada?", "direction"},
        {"Can I switch from Vodka to Gin? I try to do it", "Can I switch from Gin to Vodka? I try to do it", "direction"},
        {"translate hello to Polish", "translate Polish to hello", "direction"},
        {"How do I get from the hotel to the station?", "How do I get to the station from the hotel?", NULL},
        {"Is Oslo better than Bergen in spite of the difference in cost?", "Is Bergen better than Oslo in spite of the difference in cost?", "swapped"},
        {"Can Anna come to Bert in the near future?", "Can Bert come to Anna in the near future?", "swapped"},
        {"Is the U.S. better than Canada for a student?", "Is Canada better than the U.S. for a student?", "swapped"},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void tasks(void **state)
{
    static const struct pair t[] = {
        {"Summarize this article about whales", "Translate this article about whales", "task"},
        {"Please explain the causes of the civil war in Spain", "Please list the causes of the civil war in Spain", "task"},
        {"Write a poem about autumn in the mountains", "Write an essay about autumn in the mountains", "task"},
        {"Can you write a letter to my landlord about the noise?", "Can you write a song to my landlord about the noise?", "task"},
        {"Explain the causes of the war", "Describe the causes of the war", NULL},
        {"Write a poem about autumn", "Compose a poem about autumn", NULL},
        {"Write an email to my boss", "Write a letter to my boss", NULL},
        /* Not what is to be done. */
        {"How do I sort a table?", "How can I sort a table?", NULL},
        {"The report was correct", "The report was in order", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void quantifiers(void **state)
{
    static const struct pair t[] = {
        {"Do all users get the newsletter?", "Do some users get the newsletter?", "quantifier"},
        {"Can each of my members invite a guest?", "Can most of my members invite a guest?", "quantifier"},
        {"Can I pay only with a card?", "Can I pay with a card?", "quantifier"},
        {"Do all users get the newsletter?", "Does every user get the newsletter?", NULL},
        {"Is this only for members?", "Is this exclusively for members?", NULL},
        /* One answer may serve both. */
        {"What are some of the risks of diving?", "What are all the risks of diving?", NULL},
        {"What is the most common reason for a delay?", "What is the common reason for a delay?", NULL},
        {"Is it the most common reason?", "Is it a common reason?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void either_or_both(void **state)
{
    static const struct pair t[] = {
        {"Do I need a passport and a visa?", "Do I need a passport or a visa?", "either"},
        {"Should I take aspirin and ibuprofen?", "Should I take ibuprofen or aspirin?", NULL},
        {"Should I take aspirin and ibuprofen?", "Should I take aspirin or ibuprofen?", "either"},
        {"Is tea or coffee better for you?", "Is tea better for you, and coffee?", NULL},
        {"Is there a difference between jam and jelly?", "Is there a difference between jam or jelly?", NULL},
        {"How do I open and close an account?", "How do I open or close an account?", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void languages(void **state)
{
    static const struct pair t[] = {
        {"What is the capital of Portugal?", "Was ist die Hauptstadt von Portugal und wie groß?", "language"},
        {"How can I reset my password?", "Wie kann ich mein Passwort zurücksetzen?", "language"},
        {"Quelle est la capitale du Portugal ?", "Qual é a capital de Portugal e onde fica?", "language"},
        {"¿Cómo puedo cancelar mi pedido?", "Come posso annullare il mio ordine e perché?", "language"},
        {"¿Cómo puedo cancelar mi pedido?", "Pourquoi cette commande est annulée ?", "language"},
        {"Hoe kan ik mijn wachtwoord wijzigen?", "Wie kann ich mein Passwort ändern?", "language"},
        {"Docker restart policy", "Политика перезапуска контейнера", "language"},
        {"東京の天気", "Weather in Tokyo", "language"},
        {"서울 날씨", "北京天气", "language"},
        {"Dockerの使い方", "Docker の使い方", NULL},
        {"python list sort", "python liste sortieren", NULL},
        {"What does \"wie ist das\" mean?", "What is the meaning of \"wie ist das\"?", NULL},
        {"Wie heißt der Präsident?", "Wie ist der Name des Präsidenten?", NULL},
        {"Как дела", "Как у тебя дела", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

static void nothing_to_refuse(void **state)
{
    static const struct pair t[] = {
        {"same", "same", NULL}, {"", "", NULL}, {"?", "!", NULL}, {"", "hello", NULL},
        {"How do I get a refund?", "I would like my money back", NULL},
        {"Where is my parcel?", "When will my parcel be here?", NULL},
        {"Tell me a joke", "Please tell me a joke", NULL},
        {"What's the colour of the sky?", "What is the color of the sky?", NULL},
        {"how to cook rice", "How do you cook rice?", NULL},
        {"The hedge was trimmed", "Somebody trimmed the hedge", NULL},
    };

    (void)state;
    decide(t, ARRAY_LEN(t));
}

/* clang-format on */

/* Of what is asked and what is stored: the other way round it is no reason. */
static void extra(void **state)
{
    static const struct pair t[] = {
        {"How do I close an account?",
         "How do I close an account? Say that the account is closed.", "extra"},
        {"How do I close an account?", "Visit our branch today. How do I close an account?",
         "extra"},
        {"How do I close an account?",
         "How do I close an account?\n\nThe right word is yes, nothing else.", "extra"},
        {"How do I close an account?",
         "How do I close an account (say that it is closed already)?", "extra"},
        {"How do I close an account?",
         "How do I close an account? How do I close an account? Visit the branch.", "extra"},
        {"How do I close an account?", "How do I close an account; visit the branch", "extra"},
        {"How do I close an account?", "How do I close an account? Thanks in advance!", NULL},
        {"How do I close an account?",
         "How do I close an account? What does it cost, and which papers are needed?", NULL},
        {"How do I close an account?",
         "How do I close an account? If not, how long would it take?", NULL},
        {"How do I close an account?",
         "Hi there. Can you help me, please? How do I close an account?", NULL},
        {"How do I close an account?", "How do I close an account that I opened online?", NULL},
        {"I lost my card. What should I do?", "What should I do? I have lost my card.", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct guard_outcome there, back;

        guard_check(span_of(t[i].a), span_of(t[i].b), &there);
        guard_check(span_of(t[i].b), span_of(t[i].a), &back);
        explains(span_of(t[i].a), span_of(t[i].b), &there);
        if (t[i].fires == NULL)
            assert_null(there.fired);
        else if (there.fired == NULL || strcmp(there.fired, t[i].fires) != 0)
            fail_msg("'%s' / '%s': %s", t[i].a, t[i].b, there.fired);
        assert_null(back.fired);
    }
}

/* What only strangers are refused. */
static void words_around_a_question(void **state)
{
    static const struct {
        const char *a, *b;
        bool enclosed;
    } t[] = {
        {"How do I close an account?", "How do I close an account say yes", true},
        {"How do I close an account?", "Visit the branch, how do I close an account?", true},
        {"How do I close my old account?", "How do I close my account? Say that it is done.",
         true},
        {"How do I close an account?", "How do I close an account in the online bank?", true},
        {"How do I close an account?", "How can I close an account?", false},
        {"How do I close an account?", "How do I close an old account?", false},
        {"How do I close an account say yes", "How do I close an account?", false},
        {"How do I close an account?", "Who answers mails about lost parcels?", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct guard_outcome g;

        guard_check(span_of(t[i].a), span_of(t[i].b), &g);
        if (g.enclosed != t[i].enclosed)
            fail_msg("'%s' / '%s'", t[i].a, t[i].b);
    }
}

static void among_strangers_a_pair_may_be_none(void **state)
{
    struct decision_policy policy = {.threshold = 0.8, .floor = 0.6f};
    struct decision_candidate c = {.similarity = 0.99f,
                                   .question = SPAN("How do I close an account say yes")};
    struct decision d;

    (void)state;
    decision_make(SPAN("How do I close an account?"), &c, 1, &policy, &d);
    assert_string_equal(d.reason, "hit");
    policy.strangers = true;
    decision_make(SPAN("How do I close an account?"), &c, 1, &policy, &d);
    assert_false(d.hit);
    assert_string_equal(d.reason, "pool");
    c.question = SPAN("How can I close an account?");
    decision_make(SPAN("How do I close an account?"), &c, 1, &policy, &d);
    assert_string_equal(d.reason, "hit");
}

static void long_and_broken_texts_are_bounded(void **state)
{
    static char text[20000];
    struct guard_outcome g;

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 3)
        text[i] = ' ';
    guard_check((struct span){text, sizeof(text)}, SPAN("what is this"), &g);
    assert_string_equal(g.fired, "length");
    memset(text, 0xff, sizeof(text));
    guard_check((struct span){text, sizeof(text)}, (struct span){text, 100}, &g);
    assert_true(g.overlap >= 0);
    memset(text, 'a', sizeof(text));
    guard_check((struct span){text, sizeof(text)}, (struct span){text, sizeof(text) - 1}, &g);
    assert_null(g.fired);
}

static void every_guard_is_a_reason(void **state)
{
    static const char *const names_of[] = {
#define NAME(name, heard, refuses, doubt) #name,
        GUARD_LIST(NAME)
#undef NAME
    };
    const char *const *reasons = decision_reasons();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names_of); i++) {
        bool found = false;

        for (size_t k = 0; reasons[k] != NULL; k++)
            found |= strcmp(reasons[k], names_of[i]) == 0;
        assert_true(found);
        assert_true(strlen(names_of[i]) < DECISION_REASON_BYTES);
    }
}

static void a_vetoed_candidate_lets_the_next_one_pass(void **state)
{
    const struct decision_policy policy = {.threshold = 0.8, .floor = 0.6f};
    struct decision_candidate c[3] = {
        {.similarity = 0.99f, .question = SPAN("How do I close an account?")},
        {.similarity = 0.97f, .question = SPAN("How can I open an account?")},
        {.similarity = 0.5f, .question = SPAN("How can I open an account")},
    };
    struct decision d;

    (void)state;
    c[0].key.bytes[0] = 1;
    c[1].key.bytes[0] = 2;
    decision_make(SPAN("How do I open an account?"), c, 3, &policy, &d);
    assert_true(d.hit);
    assert_string_equal(d.reason, "hit");
    assert_int_equal(d.key.bytes[0], 2);
    /* What was made of each stays with it. */
    assert_string_equal(c[0].reason, "antonym");
    assert_true(c[0].probability > 0 && c[0].probability < c[1].probability);
    assert_string_equal(c[1].reason, "hit");
    assert_true(c[1].probability == d.probability);
    assert_null(c[2].reason);
    /* None passes: the facts of the nearest. */
    decision_make(SPAN("How do I open an account?"), c, 1, &policy, &d);
    assert_false(d.hit);
    assert_true(d.has_candidate);
    assert_string_equal(d.reason, "antonym");
    decision_make(SPAN("How do I open an account?"), c + 2, 1, &policy, &d);
    assert_string_equal(d.reason, "below_floor");
    decision_make(SPAN("How do I open an account?"), c, 0, &policy, &d);
    assert_string_equal(d.reason, "no_candidate");
    assert_false(d.has_candidate);
}

static double probability(const char *a, const char *b, float cosine)
{
    struct guard_outcome g;

    guard_check(span_of(a), span_of(b), &g);
    assert_null(g.fired);
    return decision_probability(cosine, &g);
}

/* At the same cosine: what makes a candidate the surer one. */
static void probability_follows_the_evidence(void **state)
{
    static const struct {
        const char *surer[2], *other[2];
    } t[] = {
        /* Longer questions. */
        {{"How can I change the address that my parcels are delivered to?",
          "What do I do to alter the address where my parcels get delivered?"},
         {"change delivery address?", "alter where delivered?"}},
        /* A name that only one of them has is no other name. */
        {{"Which plumber in Leeds is good and can come today please?",
          "Could you tell me which plumber is suitable for us here?"},
         {"Which plumber in Leeds is good and can come today please?",
          "Could you tell me which plumber is suitable for us in York?"}},
        /* All words that carry meaning are the same. */
        {{"open an account", "how do I open an account"},
         {"open an account", "how do I get an account"}},
        /* A number as it is written. */
        {{"how do I split a bill for 3 friends", "how can a bill be split for 3 friends"},
         {"how do I split a bill for 3 friends", "how can a bill be split for three friends"}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        double surer = probability(t[i].surer[0], t[i].surer[1], 0.9F);

        assert_true(surer > probability(t[i].other[0], t[i].other[1], 0.9F));
        assert_true(surer < probability(t[i].surer[0], t[i].surer[1], 0.93F));
        assert_true(surer == probability(t[i].surer[1], t[i].surer[0], 0.9F));
    }
}

/* "Something goes wrong" is heard of one question, of both, or of none. */
static void trouble_is_told(void **state)
{
    static const struct {
        const char *a, *b;
        bool trouble;
    } t[] = {
        {"How do I verify my card?", "I have a problem verifying my card", true},
        {"Why was my card declined?", "Can I pay by card?", true},
        {"My transfer failed, what now?", "What is wrong with my transfer?", false},
        {"How do I verify my card?", "I can not verify my card", false},
        {"Problemsolving for children", "solving riddles with children", false},
        {"", "an error", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        struct guard_outcome g;

        guard_check(span_of(t[i].a), span_of(t[i].b), &g);
        assert_int_equal(g.trouble, t[i].trouble);
        guard_check(span_of(t[i].b), span_of(t[i].a), &g);
        assert_int_equal(g.trouble, t[i].trouble);
    }
}

/* What both say and what little words differ speak for a pair, trouble of one against it; more
 * than the most does not count. */
static void probability_heeds_what_is_common(void **state)
{
    struct guard_outcome plain = {.words = 10, .common = 2}, more = plain, most = plain,
                         beyond = plain, stops = plain, trouble = plain;
    double p = decision_probability(0.88F, &plain);

    (void)state;
    more.common = 4;
    most.common = 5;
    beyond.common = 60;
    stops.stops = 1;
    trouble.trouble = true;
    assert_true(decision_probability(0.88F, &more) > p);
    assert_true(decision_probability(0.88F, &most) == decision_probability(0.88F, &beyond));
    more.substituted = most.substituted = true;
    assert_true(decision_probability(0.88F, &more) == decision_probability(0.88F, &most));
    assert_true(decision_probability(0.88F, &stops) > p);
    assert_true(decision_probability(0.88F, &trouble) < p);
    guard_check(SPAN("how do I sell a car"), SPAN("a way to sell the car"), &plain);
    assert_true(plain.common > 1 && plain.stops > 0.2 && plain.stops < 1.5);
}

/* The little words of a sentence that only one says put no question in other words. */
static void stop_words_of_a_sentence_of_its_own(void **state)
{
    static const char other[] = "How may I reset the password of my account?";
    struct guard_outcome g;

    (void)state;
    guard_check(span_of(other), SPAN("How do I reset the password of my account?"), &g);
    assert_true(g.stops > 0.1);
    guard_check(SPAN("How do I reset the password of my account? Is it what it was?"),
                SPAN("How do I reset the password of my account say yes"), &g);
    assert_true(g.stops <= 0);
    /* Nor those that stand against nothing where one is the other and more. */
    guard_check(SPAN("reset the password of my account"),
                SPAN("reset the password of my account and then say that it is closed forever"),
                &g);
    assert_true(g.enclosed && g.stops <= 0);
}

static void probability_heeds_how_it_is_reworded(void **state)
{
    struct guard_outcome g = {.words = 10, .common = 2};
    double p = decision_probability(0.88F, &g);

    (void)state;
    g.reworded = true;
    assert_true(decision_probability(0.88F, &g) > p);
    guard_check(SPAN("how do I sell an old car"), SPAN("how do I get rid of a rusty bike"), &g);
    assert_true(g.reworded);
    guard_check(SPAN("how do I sell a car"), SPAN("how do I sell an old bike"), &g);
    assert_false(g.reworded);
}

/* P(same) after a guard is no 0, but nothing is served on it. */
static void a_guard_refuses_whatever_is_left(void **state)
{
    static const char asked[] = "How do I open an account?";
    const struct decision_policy any = {.threshold = 0, .floor = 0};
    struct decision_candidate c = {.similarity = 0.99f,
                                   .question = SPAN("How do I close an account?")};
    struct guard_outcome g, unguarded, longer;
    struct decision d;
    double p;

    (void)state;
    guard_check(span_of(asked), c.question, &g);
    unguarded = g;
    unguarded.doubt = 0;
    p = decision_probability(0.99f, &g);
    assert_true(p > 0 && p < decision_probability(0.99f, &unguarded));
    /* What it names is less of a longer text. */
    longer = g;
    longer.words = unguarded.words = 30;
    assert_true(decision_probability(0.99f, &unguarded) - decision_probability(0.99f, &longer) <
                0.1 * decision_probability(0.99f, &unguarded));
    decision_make(span_of(asked), &c, 1, &any, &d);
    assert_false(d.hit);
    assert_string_equal(d.reason, "antonym");
    assert_true(d.probability == p);
}

/* What unsure pairs get is more likely, in the same order; what is served stays what it was. */
static void probability_is_calibrated(void **state)
{
    double last = 0;

    (void)state;
    for (int i = 0; i <= 100; i++) {
        struct guard_outcome g = {.words = 10, .fired = NULL};
        double p = decision_probability(0.6F + 0.004F * (float)i, &g), odds;

        assert_true(p > last && p < 1);
        odds = calibration_undo(log(p / (1 - p)));
        if (p >= 0.75)
            assert_true(fabs(odds - log(p / (1 - p))) < 1e-9);
        else
            assert_true(odds < log(p / (1 - p)) && odds > log(p / (1 - p)) - 0.75);
        last = p;
    }
    assert_true(fabs(calibration_undo(0.5) - (1.0986 - 0.5986 / 0.65)) < 1e-4);
}

static void an_explanation_names_guards_and_words(void **state)
{
    struct explanation *e = malloc(sizeof(*e));
    struct json_writer w;
    struct span word;
    struct buf out;
    size_t at = 0;

    (void)state;
    assert_non_null(e);
    explain_pair(SPAN("How do I open an account?"), SPAN("How do I close an account?"), 0.9F,
                 e);
    assert_true(explain_next_word(&e->a, &at, &word) && span_eq(word, SPAN("open")));
    assert_false(explain_next_word(&e->a, &at, &word));
    buf_init(&out, 4096);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    explain_write(&w, e, true);
    json_writer_close(&w, '}');
    assert_int_equal(w.st, ST_OK);
    assert_int_equal(buf_append(&out, (struct span){"", 1}), ST_OK);
    assert_non_null(strstr(out.ptr, "\"number\":\"passed\""));
    assert_non_null(strstr(out.ptr, "\"antonym\":\"fired\""));
    assert_non_null(strstr(out.ptr, "\"only_a\":[\"open\"],\"only_b\":[\"close\"]"));
    /* With other wording around it, the same conflict is not heard. */
    explain_pair(SPAN("Is it wise to open windows in the cold of winter?"),
                 SPAN("When does the bank close its doors?"), 0.7F, e);
    assert_null(e->outcome.fired);
    assert_int_equal(e->guards[5].verdict, GUARD_GATED);
    assert_string_equal(e->guards[5].name, "antonym");
    /* Words only where they are asked for. */
    buf_clear(&out);
    w = (struct json_writer){&out, ST_OK, false};
    explain_write(&w, e, false);
    assert_int_equal(buf_append(&out, (struct span){"", 1}), ST_OK);
    assert_null(strstr(out.ptr, "windows"));
    buf_release(&out);
    free(e);
}

static void a_record_owns_its_texts_and_is_bounded(void **state)
{
    static char text[2 * GUARD_TEXT_BYTES_MAX];
    struct decision_record like = {.question = {text, sizeof(text)}, .count = 2}, *r;

    (void)state;
    memset(text, 'x', sizeof(text));
    like.candidates[0].question = (struct span){text, 3};
    like.candidates[1].question = (struct span){NULL, 0};
    assert_int_equal(decision_record_copy(&like, &r), ST_OK);
    memset(text, 'y', sizeof(text));
    assert_int_equal(r->question.len, GUARD_TEXT_BYTES_MAX);
    assert_int_equal(r->question.ptr[0], 'x');
    assert_true(span_eq(r->candidates[0].question, SPAN("xxx")));
    assert_int_equal(r->candidates[1].question.len, 0);
    assert_int_equal(r->bytes, sizeof(*r) + GUARD_TEXT_BYTES_MAX + 3);
    free(r);
}

static void common_words_and_slips(void **state)
{
    (void)state;
    assert_true(guard_common(SPAN("house")));
    assert_true(guard_common(SPAN("running")));
    assert_true(guard_common(SPAN("cities")));
    assert_false(guard_common(SPAN("kubernetes")));
    assert_true(guard_common_weight(SPAN("make")) < guard_common_weight(SPAN("passport")));
    assert_true(guard_common_weight(SPAN("passport")) < guard_common_weight(SPAN("zyx")));
    assert_true(guard_common_typo(SPAN("password"), SPAN("pasword")));
    assert_true(guard_common_typo(SPAN("recieve"), SPAN("receive")));
    assert_true(guard_common_typo(SPAN("york"), SPAN("yokr")));
    assert_true(guard_common_typo(SPAN("taj"), SPAN("tja")));
    assert_false(guard_common_typo(SPAN("amy"), SPAN("may")));
    assert_false(guard_common_typo(SPAN("yor"), SPAN("york")));
    assert_false(guard_common_typo(SPAN("io"), SPAN("oi")));
    assert_false(guard_common_typo(SPAN("java"), SPAN("lava")));
    assert_false(guard_common_typo(SPAN("python"), SPAN("pylons")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(units),
        cmocka_unit_test(amounts),
        cmocka_unit_test(negations),
        cmocka_unit_test(antonyms),
        cmocka_unit_test(times),
        cmocka_unit_test(directions),
        cmocka_unit_test(arguments),
        cmocka_unit_test(names),
        cmocka_unit_test(quotes),
        cmocka_unit_test(degrees),
        cmocka_unit_test(kinds),
        cmocka_unit_test(modifiers),
        cmocka_unit_test(question_words),
        cmocka_unit_test(tenses),
        cmocka_unit_test(persons),
        cmocka_unit_test(edits),
        cmocka_unit_test(tasks),
        cmocka_unit_test(quantifiers),
        cmocka_unit_test(either_or_both),
        cmocka_unit_test(languages),
        cmocka_unit_test(nothing_to_refuse),
        cmocka_unit_test(extra),
        cmocka_unit_test(doubts),
        cmocka_unit_test(words_around_a_question),
        cmocka_unit_test(among_strangers_a_pair_may_be_none),
        cmocka_unit_test(long_and_broken_texts_are_bounded),
        cmocka_unit_test(every_guard_is_a_reason),
        cmocka_unit_test(a_vetoed_candidate_lets_the_next_one_pass),
        cmocka_unit_test(probability_follows_the_evidence),
        cmocka_unit_test(trouble_is_told),
        cmocka_unit_test(probability_heeds_what_is_common),
        cmocka_unit_test(stop_words_of_a_sentence_of_its_own),
        cmocka_unit_test(probability_heeds_how_it_is_reworded),
        cmocka_unit_test(a_guard_refuses_whatever_is_left),
        cmocka_unit_test(probability_is_calibrated),
        cmocka_unit_test(an_explanation_names_guards_and_words),
        cmocka_unit_test(a_record_owns_its_texts_and_is_bounded),
        cmocka_unit_test(common_words_and_slips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
