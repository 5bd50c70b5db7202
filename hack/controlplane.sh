#!/usr/bin/env bash
# Makes etcd, kube-apiserver and kubectl available and prints the folder they
# are in. What happens on the way goes to stderr.
#
# In this order: $KUBEBUILDER_ASSETS; bin/k8s; a download by setup-envtest, if
# its index answers within seconds; a build from Go modules.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
version=1.37.2
minor=37
binaries=(etcd kube-apiserver kubectl)
index=https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml

say() { echo "controlplane: $*" >&2; }

complete() {
  local name
  for name in "${binaries[@]}"; do [[ -x $1/$name ]] || return 1; done
}

reachable() {
  if command -v curl >/dev/null; then
    curl --silent --fail --head --location --max-time 3 "$index" >/dev/null
  else
    make --no-print-directory -C "$root" bin/tools/setup-envtest >&2 &&
      timeout 5 "$root/bin/tools/setup-envtest" list >/dev/null 2>&1
  fi
}

# A file gets its name when it is whole: others may be looking at the folder.
download() {
  local fetched name
  say "downloading Kubernetes 1.$minor"
  make --no-print-directory -C "$root" bin/tools/setup-envtest >&2 || return 1
  fetched=$(timeout 180 "$root/bin/tools/setup-envtest" use "1.$minor.x" --bin-dir "$root/bin/envtest" --print path) || return 1
  mkdir -p "$root/bin/k8s"
  for name in "${binaries[@]}"; do
    cp "$fetched/$name" "$root/bin/k8s/.$name" && mv "$root/bin/k8s/.$name" "$root/bin/k8s/$name" || return 1
  done
}

build() {
  say "no download: building Kubernetes $version from Go modules; about 10 minutes on two cores the first time"
  local out=$root/bin/k8s flags package name start
  mkdir -p "$out"
  flags="-s -w -X k8s.io/component-base/version.gitVersion=v$version"
  flags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"
  for package in etcd=go.etcd.io/etcd/server/v3 kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver kubectl=k8s.io/kubernetes/cmd/kubectl; do
    name=${package%%=*} start=$SECONDS
    [[ -x $out/$name ]] && continue
    say "building $name"
    (cd "$root/hack/controlplane" &&
      CGO_ENABLED=0 GOGC=400 go build -buildvcs=false -trimpath -ldflags "$flags" -o "$out/.$name" "${package#*=}") >&2
    mv "$out/.$name" "$out/$name"
    say "built $name in $((SECONDS - start)) s"
  done
}

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  if complete "$KUBEBUILDER_ASSETS"; then
    cd "$KUBEBUILDER_ASSETS" && pwd # tests run in folders of their own
    exit
  fi
  say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS is not used: it lacks one of ${binaries[*]}"
fi
if ! complete "$root/bin/k8s"; then
  mkdir -p "$root/bin"
  exec 9>"$root/bin/.controlplane.lock"
  if command -v flock >/dev/null; then # two callers would build the same twice
    flock --nonblock 9 || { say "waiting for another run of this script"; flock 9; }
  fi
  complete "$root/bin/k8s" || { reachable && download; } || build
fi
echo "$root/bin/k8s"
