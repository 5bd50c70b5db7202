#!/usr/bin/env bash
# Makes a Chromium available, with which test/pages looks at the enrolment page,
# and prints where it is. What happens on the way goes to stderr.
#
# In this order: $CHROMIUM; one that is installed; Debian's package, as root.
# CHROMIUM=none leaves those tests out.
set -euo pipefail

say() { echo "browser: $*" >&2; }

if [[ -n ${CHROMIUM:-} ]]; then
  echo "$CHROMIUM"
  exit
fi
for name in chromium chromium-browser google-chrome; do
  if command -v "$name"; then exit; fi
done
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  say "there is no Chromium. Install one, or name yours in CHROMIUM, or leave its tests out with CHROMIUM=none"
  exit 1
fi
say "installing Chromium"
install() { DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium >&2; }
install || { apt-get update >&2 && install; }
command -v chromium
