#!/usr/bin/env bash
# Tries the import rules of .golangci.yml: plants imports in a module of empty
# rooms and fails if one that must be refused passes, or the other way round.
# The rooms lie below folders called test and api, because where a checkout is
# must not matter.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
ours=github.com/neosc/mfa-operator
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
dir=$temp/test/api
mkdir -p "$dir"
cp "$root/.golangci.yml" "$dir/"
cd "$dir"

# What is imported needs to exist, and no more than that.
room() {
  mkdir -p "$1"
  echo "package room" >"$1/room.go"
}
printf 'module %s\n\ngo 1.26.0\n' $ours >go.mod
for name in api/v1alpha1 internal/{idp,audit,policy,mfa,doorbell,zitadel,zitadel/zitadeltest,sealed,signing,courier,ledger,kube,options,metrics,tracing} \
  controllers controllers/{securitypolicy,zitadelconnection} webhook/mfaapi webhook/admission cmd/manager/app cmd/zitadel-sim test/harness; do
  room "$name"
done
for import in google.golang.org/grpc github.com/zitadel/zitadel-go k8s.io/apimachinery k8s.io/client-go \
  sigs.k8s.io/controller-runtime github.com/spf13/pflag go.opentelemetry.io/contrib; do
  room stub/$import
  echo "module $import" >stub/$import/go.mod
  printf 'require %s v0.0.0\nreplace %s => ./stub/%s\n' $import $import $import >>go.mod
done

# Each line: a room, then what it may and (!) may not import; "~" is ours.
# Every import gets a package of its own below the room, so that none is a cycle.
planted=()
while read -r where imports; do
  for import in $imports; do
    file=$where/planted${#planted[@]}/planted.go
    case $where in
    *_test) file=${where%_test}/planted${#planted[@]}/planted_test.go ;;
    controllers) file=$where/planted${#planted[@]}.go ;;
    esac
    planted+=("$file $import")
    mkdir -p "$(dirname "$file")"
    path=${import#!}
    printf 'package room\n\nimport _ "%s"\n' "${path/#\~/$ours}" >"$file"
  done
done <<'TABLE'
api/v1alpha1                     k8s.io/apimachinery !k8s.io/client-go !sigs.k8s.io/controller-runtime !~/internal/idp
internal/idp                     !~/api/v1alpha1 !~/internal/audit !net/http !google.golang.org/grpc !k8s.io/apimachinery
internal/audit                   !~/api/v1alpha1 !~/internal/idp !net/http !google.golang.org/grpc !sigs.k8s.io/controller-runtime
internal/metrics                 ~/internal/audit !~/api/v1alpha1 !~/internal/mfa !net/http !k8s.io/client-go !sigs.k8s.io/controller-runtime
internal/tracing                 net/http sigs.k8s.io/controller-runtime !~/api/v1alpha1 !~/internal/audit !go.opentelemetry.io/contrib
internal/policy                  ~/api/v1alpha1 ~/internal/idp k8s.io/apimachinery !~/internal/mfa !~/internal/zitadel !~/internal/kube !net/http !google.golang.org/grpc !k8s.io/client-go !sigs.k8s.io/controller-runtime
internal/mfa                     ~/internal/audit !~/api/v1alpha1 !~/internal/idp !~/internal/policy !~/internal/ledger !net/http !google.golang.org/grpc !k8s.io/apimachinery
internal/zitadel                 ~/internal/idp ~/internal/metrics ~/internal/tracing google.golang.org/grpc github.com/zitadel/zitadel-go net/http !~/api/v1alpha1 !~/internal/kube !~/controllers !~/webhook/mfaapi !~/internal/zitadel/zitadeltest !k8s.io/client-go
internal/zitadel_test            ~/internal/zitadel/zitadeltest
internal/zitadel/zitadeltest     ~/internal/idp google.golang.org/grpc !~/controllers
internal/doorbell                !~/api/v1alpha1 !~/internal/idp !net/http !google.golang.org/grpc !k8s.io/apimachinery
internal/doorbell_test           github.com/zitadel/zitadel-go
internal/sealed                  ~/internal/mfa ~/internal/kube k8s.io/client-go !~/internal/signing !~/internal/ledger !~/controllers !~/webhook/mfaapi
internal/signing                 ~/internal/mfa ~/internal/kube k8s.io/client-go !~/internal/sealed !~/internal/ledger !~/controllers !~/webhook/mfaapi
internal/courier                 ~/internal/mfa ~/internal/audit net/http !~/internal/kube !~/internal/sealed !~/controllers !~/webhook/mfaapi !k8s.io/client-go
internal/ledger                  ~/api/v1alpha1 ~/internal/metrics ~/internal/tracing ~/internal/audit !~/internal/sealed !~/controllers !~/webhook/mfaapi !google.golang.org/grpc
internal/kube                    ~/api/v1alpha1 ~/internal/idp !~/controllers/securitypolicy !~/webhook/mfaapi !~/cmd/manager/app !github.com/spf13/pflag !flag
internal/options                 github.com/spf13/pflag
controllers                      ~/controllers/securitypolicy ~/controllers/zitadelconnection !~/internal/zitadel !~/internal/ledger !~/webhook/mfaapi
controllers/securitypolicy       ~/api/v1alpha1 ~/internal/metrics ~/internal/tracing ~/internal/policy ~/internal/mfa ~/internal/idp ~/internal/audit ~/internal/kube ~/internal/doorbell !~/internal/zitadel !~/internal/zitadel/zitadeltest !~/internal/sealed !~/internal/signing !~/internal/courier !~/internal/ledger !~/internal/options !~/webhook/mfaapi !~/controllers/zitadelconnection !google.golang.org/grpc !github.com/zitadel/zitadel-go
controllers/securitypolicy_test  ~/internal/zitadel/zitadeltest ~/controllers/securitypolicy !~/internal/zitadel !~/webhook/mfaapi !google.golang.org/grpc
webhook/mfaapi                   ~/api/v1alpha1 ~/internal/metrics ~/internal/tracing ~/internal/policy ~/internal/mfa ~/internal/audit ~/internal/doorbell net/http !~/internal/idp !~/internal/zitadel !~/internal/sealed !~/internal/signing !~/internal/courier !~/internal/ledger !~/controllers !google.golang.org/grpc !go.opentelemetry.io/contrib
webhook/admission                ~/api/v1alpha1 ~/internal/tracing ~/internal/policy ~/internal/idp sigs.k8s.io/controller-runtime !~/internal/mfa !~/internal/kube !~/internal/zitadel !~/internal/options !~/webhook/mfaapi !~/controllers/securitypolicy !google.golang.org/grpc
cmd/manager                      ~/controllers ~/internal/zitadel ~/webhook/mfaapi google.golang.org/grpc !~/internal/zitadel/zitadeltest !~/test/harness
cmd/zitadel-sim                  ~/internal/zitadel/zitadeltest
test/harness                     ~/internal/zitadel/zitadeltest google.golang.org/grpc github.com/zitadel/zitadel-go
TABLE

findings=$(GOWORK=off GOFLAGS=-mod=mod GOLANGCI_LINT_CACHE=$temp/cache "$root/bin/tools/golangci-lint" run \
  --enable-only=depguard --issues-exit-code=0 --show-stats=false --output.text.print-issued-lines=false ./...)
grep -v ' (depguard)$' <<<"$findings" | grep . >&2 && exit 1 # the planted module itself is wrong

failed=0
for line in "${planted[@]}"; do
  read -r file import <<<"$line"
  verdict=allowed
  grep -q "^$file:" <<<"$findings" && verdict=refused
  case $import:$verdict in
  !*:refused | [!!]*:allowed) ;;
  *) echo "lint-selftest: ${file%/planted*}: import of ${import#!} is $verdict" >&2 && failed=1 ;;
  esac
done
exit $failed
