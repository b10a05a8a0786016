#include "privacy/checksum.h"

#include <stdint.h>

static unsigned digit(char c)
{
    return (unsigned)(c - '0');
}

bool checksum_luhn(const char *d, size_t n)
{
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned v = digit(d[n - 1 - i]) << (i & 1);

        sum += v > 9 ? v - 9 : v;
    }
    return sum % 10 == 0;
}

bool checksum_iban(const char *text, size_t n)
{
    unsigned rest = 0;

    for (size_t i = 0; i < n; i++) {
        char c = text[(i + 4) % n];

        rest = c >= '0' && c <= '9' ? rest * 10 + digit(c)
                                    : rest * 100 + (unsigned)((c & ~0x20) - 'A') + 10;
        rest %= 97;
    }
    return rest == 1;
}

bool checksum_mod11_10(const char *d, size_t n)
{
    unsigned p = 10;

    for (size_t i = 0; i + 1 < n; i++) {
        p = (p + digit(d[i])) % 10;
        p = (p == 0 ? 10 : p) * 2 % 11;
    }
    return (p + digit(d[n - 1])) % 10 == 1;
}

bool checksum_verhoeff(const char *d, size_t n)
{
    static const uint8_t power[8][10] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4},
        {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
        {9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
        {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8}};
    unsigned c = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned x = power[i % 8][digit(d[n - 1 - i])];

        /* The product in D5: rotations are 0 to 4, reflections 5 to 9. */
        if (c < 5)
            c = x < 5 ? (c + x) % 5 : 5 + (c + x - 5) % 5;
        else
            c = x < 5 ? 5 + (c - 5 + 5 - x) % 5 : (c - 5 + 5 - (x - 5)) % 5;
    }
    return c == 0;
}

unsigned checksum_weighted(const char *d, const unsigned char *weight, size_t n, unsigned m)
{
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += digit(d[i]) * weight[i];
    return sum % m;
}

unsigned checksum_mod(const char *d, size_t n, unsigned m)
{
    unsigned rest = 0;

    for (size_t i = 0; i < n; i++)
        rest = (rest * 10 + digit(d[i])) % m;
    return rest;
}
