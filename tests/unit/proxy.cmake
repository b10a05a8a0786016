ibid_test(NAME controls LABEL unit SOURCES unit/test_controls.c LIBS proxy)
ibid_test(NAME openai_answer LABEL unit SOURCES unit/test_openai_answer.c LIBS protocol)
ibid_test(NAME journal LABEL unit SOURCES unit/test_journal.c LIBS proxy)
