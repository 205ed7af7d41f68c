#!/bin/sh
# Makes the namespace and its search attributes; safe to run again.
set -eu

temporal operator namespace describe -n "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create -n "$TEMPORAL_NAMESPACE" --retention 30d

# The namespace takes some seconds to be known everywhere, and what exists already is no error.
attempt=1
until temporal operator search-attribute create -n "$TEMPORAL_NAMESPACE" \
  --name CarillonTenant --type Keyword \
  --name CarillonKind --type Keyword \
  --name CarillonStatus --type Keyword \
  --name CarillonCampaign --type Keyword \
  --name CarillonChannel --type Keyword \
  --name CarillonNextRunAt --type Datetime \
  --name CarillonRecipients --type Int \
  --name CarillonFailed --type Int \
  --name CarillonTags --type KeywordList; do
  attempt=$((attempt + 1))
  if [ "$attempt" -gt 30 ]; then
    echo "The search attributes could not be created." >&2
    exit 1
  fi
  sleep 2
done
