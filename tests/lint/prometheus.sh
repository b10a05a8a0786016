#!/bin/sh
# The alerting rules: valid, right about a good and a bad day, and with a runbook.
exec deploy/prometheus/check.sh
