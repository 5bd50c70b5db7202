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

mkdir "$copy/committed"
git ls-files --cached --others --exclude-standard -z |
  while IFS= read -r -d '' file; do [[ ! -e $file ]] || printf '%s\0' "$file"; done |
  tar --create --null --files-from=- | tar --extract --directory="$copy/committed"
cp -a "$copy/committed" "$copy/regenerated"
hack/generate.sh "$copy/regenerated"
(cd "$copy" && diff -ruN committed regenerated) >&2 || fail "generated files differ; run \"make generate\" and commit"

untracked=$(git ls-files --others --exclude-standard -- '*/zz_generated*' config/crd config/rbac charts docs/reference/api.md)
[[ -z $untracked ]] || fail "git does not know these yet; run \"git add\":"$'\n'"$untracked"

unformatted=$(cd "$copy/committed" && gofmt -l .)
[[ -z $unformatted ]] || fail "not formatted, run \"make fmt\":"$'\n'"$unformatted"

for module in go.mod hack/*/go.mod; do
  (cd "$(dirname "$module")" && go mod tidy -diff >&2) || fail "$module is not tidy; run \"go mod tidy\" in $(dirname "$root/$module")"
done
exit $failed
