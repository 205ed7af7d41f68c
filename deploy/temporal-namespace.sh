#!/bin/sh
# Makes the namespace and its search attributes; safe to run again.
set -eu

temporal operator namespace describe -n "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create -n "$TEMPORAL_NAMESPACE" --retention 30d

# Tries again every two seconds, for two minutes.
patiently() {
  attempt=1
  until "$@"; do
    attempt=$((attempt + 1))
    if [ "$attempt" -gt 60 ]; then
      echo "Gave up: $*" >&2
      exit 1
    fi
    sleep 2
  done
}

# The namespace takes some seconds to be known everywhere; attributes that exist are no error.
patiently temporal operator search-attribute create -n "$TEMPORAL_NAMESPACE" \
  --name CarillonTenant --type Keyword \
  --name CarillonKind --type Keyword \
  --name CarillonStatus --type Keyword \
  --name CarillonCampaign --type Keyword \
  --name CarillonChannel --type Keyword \
  --name CarillonNextRunAt --type Datetime \
  --name CarillonRecipients --type Int \
  --name CarillonFailed --type Int \
  --name CarillonTags --type KeywordList

# The part that starts workflows remembers the attributes it knew for up to a minute, and refuses
# new ones until then.
patiently temporal workflow count -n "$TEMPORAL_NAMESPACE" \
  --query 'CarillonTenant is not null and CarillonTags is not null'
