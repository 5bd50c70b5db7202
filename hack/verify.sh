#!/usr/bin/env bash
# Fails if regenerating, formatting or tidying would change anything, and says
# what and what to do. Works on a copy, so the checkout stays as it is.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cd "$root"
failed=0

fail() {
  echo "verify: $*" >&2
  failed=1
}

git ls-files --cached --others --exclude-standard -z |
  while IFS= read -r -d '' file; do [[ ! -e $file ]] || printf '%s\0' "$file"; done |
  tar --create --null --files-from=- | tar --extract --directory="$copy"
hack/generate.sh "$copy"
diff -ru --exclude=bin --exclude=.git "$root" "$copy" >&2 || fail "generated files differ; run \"make generate\" and commit"

unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
[[ -z $unformatted ]] || fail "not formatted, run \"make fmt\": $unformatted"

for module in go.mod hack/*/go.mod; do
  (cd "$(dirname "$module")" && go mod tidy -diff >&2) || fail "$module is not tidy; run \"go mod tidy\" in its folder"
done
exit $failed
