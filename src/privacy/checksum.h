/* Check digits. Each takes digits (characters) without separators. Pure. */
#ifndef PRIVACY_CHECKSUM_H
#define PRIVACY_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>

/* ISO/IEC 7812-1 annex B. */
bool checksum_luhn(const char *d, size_t n);
/* ISO 13616, ISO 7064 MOD 97-10: letters and digits, the country and its two digits first. */
bool checksum_iban(const char *text, size_t n);
/* ISO 7064 MOD 11,10. */
bool checksum_mod11_10(const char *d, size_t n);
/* Verhoeff (1969), the dihedral group of order ten. */
bool checksum_verhoeff(const char *d, size_t n);
/* Sum of d[i]·weight[i], modulo m. */
unsigned checksum_weighted(const char *d, const unsigned char *weight, size_t n, unsigned m);
/* The number that the digits are, modulo m. */
unsigned checksum_mod(const char *d, size_t n, unsigned m);

#endif
