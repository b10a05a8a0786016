/* What the finder knows, each with its name in settings and metrics, and the word that its
 * placeholders begin with. */
#ifndef PRIVACY_CLASSES_H
#define PRIVACY_CLASSES_H

#define PRIVACY_CLASS_MAP(X)                                                                   \
    X(EMAIL, "email", "EMAIL")                                                                 \
    X(PHONE, "phone", "PHONE")                                                                 \
    X(IBAN, "iban", "IBAN")                                                                    \
    X(CARD, "card", "CARD")                                                                    \
    X(NATIONAL_ID, "national_id", "PERSONID")                                                  \
    X(HOST, "host", "HOST")                                                                    \
    X(KEY, "key", "SECRET")                                                                    \
    X(PRIVATE_KEY, "private_key", "PRIVATEKEY")                                                \
    X(JWT, "jwt", "TOKEN")                                                                     \
    X(NAME, "name", "PERSON")                                                                  \
    X(DATE, "date", "DATE")                                                                    \
    X(PATTERN, "pattern", "VALUE") /* of the operator */

enum privacy_class {
#define X(id, name, word) PRIVACY_##id,
    PRIVACY_CLASS_MAP(X)
#undef X
        PRIVACY_CLASSES
};

#define PRIVACY_BIT(c) (1u << (c))

/* "email" */
const char *privacy_class_name(enum privacy_class c);
/* "EMAIL": capitals only; no word ends in another one. */
const char *privacy_class_word(enum privacy_class c);

#endif
