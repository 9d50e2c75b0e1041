/* side_by_side - the cases of a test program at the same time, each in a process of its own. For
 * cases that bring up all they need themselves and spend their time waiting for what a program does
 * by its own clock. */
#ifndef DESG_TEST_SIDE_BY_SIDE_H
#define DESG_TEST_SIDE_BY_SIDE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Runs tests, at_once of them at a time; DESG_TEST_AT_ONCE in the environment takes at_once's
 * place. What a case says is printed in one piece once it is over. Answers how many failed. No
 * other thread may run. */
int side_by_side(const struct CMUnitTest *tests, size_t count, size_t at_once);

#endif
