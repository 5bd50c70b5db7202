#!/usr/bin/env bash
# Regenerates everything that comes from another source: deepcopy code, CRDs and
# RBAC from the markers in Go, the chart's copies of them, the API reference.
# An argument is the folder to do it in; default: this repository.
set -euo pipefail

tools=$(cd "$(dirname "$0")/.." && pwd)/bin/tools
cd "${1:-$(dirname "$0")/..}"

rm -f config/crd/bases/*.yaml # the CRD of a kind that is gone goes too
"$tools/controller-gen" object crd paths=./api/... output:crd:dir=config/crd/bases
"$tools/controller-gen" rbac:roleName=mfa-operator-manager paths=./controllers/... output:rbac:dir=config/rbac
# The rights to verify local users, and to answer in NeoSC's shape, are roles of their
# own, which not everybody gives.
rooms=()
for room in webhook/*/; do
  case $room in webhook/mfaapi/ | webhook/neoscapi/ | webhook/callers/) continue ;; esac
  rooms+=("paths=./$room...")
done
"$tools/controller-gen" rbac:roleName=mfa-operator-webhook,fileName=webhook_role.yaml "${rooms[@]}" output:rbac:dir=config/rbac
"$tools/controller-gen" rbac:roleName=mfa-operator-webhook-mfa paths=./webhook/mfaapi/... paths=./webhook/callers/... output:rbac:dir=config/localusers
"$tools/controller-gen" rbac:roleName=mfa-operator-webhook-neosc paths=./webhook/neoscapi/... paths=./webhook/callers/... output:rbac:dir=config/neosc
hack/sync-chart.sh
mkdir -p docs/reference
go run ./hack/openapi mfa > docs/reference/openapi.json
go run ./hack/openapi neosc > docs/reference/neosc-openapi.json
go run ./hack/rights > docs/reference/rights.md
"$tools/crd-ref-docs" --log-level=ERROR --source-path=api --config=hack/crd-ref-docs.yaml \
  --renderer=markdown --output-path=docs/reference/api.md
