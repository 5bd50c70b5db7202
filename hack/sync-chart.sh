#!/bin/sh
# Copies into the chart what it shares with config/: the CRDs, the RBAC rules, the
# admission rules, the webhook configuration, alerts and dashboard, the doorbell, what local users and NeoSC's
# API take, and the policy behind defaultPolicy.
# Run it after anything in config/ changes; a test compares. With --check it
# changes nothing and fails on a difference.
set -eu
cd "$(dirname "$0")/.."
files=charts/mfa-operator/files

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir "$new/crds" "$new/rbac" "$new/admission" "$new/webhook" "$new/doorbell" "$new/localusers" "$new/neosc" "$new/prometheus"
cp config/crd/bases/*.yaml "$new/crds/"
cp config/admission/ledger_*.yaml "$new/admission/"
# Service accounts are templates of the chart's own: they can be switched off.
for f in config/rbac/*.yaml; do
	case ${f##*/} in kustomization.yaml | *service_account.yaml) continue ;; esac
	cp "$f" "$new/rbac/"
done
cp config/webhook/validating.yaml "$new/webhook/"
cp config/doorbell/objects.yaml "$new/doorbell/"
cp config/localusers/[!k]*.yaml "$new/localusers/" # all but kustomization.yaml
cp config/neosc/[!k]*.yaml "$new/neosc/"
cp config/prometheus/alerts.yaml config/prometheus/dashboard.json "$new/prometheus/"
cp config/samples/securitypolicy_pol-mfa-required.yaml "$new/default-policy.yaml"
chmod -R u=rwX,go=rX "$new"

if [ "${1-}" = --check ]; then
	diff -r "$files" "$new" || {
		echo "charts/mfa-operator/files differs from config/; run hack/sync-chart.sh" >&2
		exit 1
	}
	exit 0
fi
rm -rf "$files"
cp -R "$new" "$files"
