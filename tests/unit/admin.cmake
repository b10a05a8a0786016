# What the admin listener keeps and shows.
ibid_test(NAME series LABEL unit SOURCES unit/test_series.c LIBS admin base)
