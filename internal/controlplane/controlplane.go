// Package controlplane starts a real kube-apiserver and etcd on loopback, for
// tests and for the demo. It knows where the binaries and the CRDs are, and
// nothing of what runs on them.
package controlplane

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Start starts a control plane with this project's CRDs installed, after what
// configure does to it. The caller stops it.
func Start(configure ...func(*envtest.Environment)) (*envtest.Environment, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	for _, c := range configure {
		c(env)
	}
	if _, err := env.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), env.Stop())
	}
	return env, nil
}

// Durable makes the control plane write to disk as it would in a cluster, and
// keep in dir what it needs to be stopped and started again. Without it etcd
// does not wait for the disk.
func Durable(dir string) func(*envtest.Environment) {
	return func(env *envtest.Environment) {
		env.ControlPlane.Etcd = &envtest.Etcd{DataDir: filepath.Join(dir, "etcd")}
		env.ControlPlane.Etcd.Configure().Disable("unsafe-no-fsync")
		env.ControlPlane.GetAPIServer().CertDir = filepath.Join(dir, "apiserver")
	}
}

// Assets returns the directory with etcd, kube-apiserver and kubectl:
// $KUBEBUILDER_ASSETS, else bin/k8s of this repository.
func Assets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		root, err := Root()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, "bin", "k8s")
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("there is no %s in %s; run \"make controlplane\"", name, dir)
		}
	}
	return dir, nil
}

// Root returns the root of this repository: the nearest folder, from the
// working directory upwards, that holds the PROJECT file.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "PROJECT")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the repository: no PROJECT file in any parent folder; run this inside the checkout")
		}
		dir = parent
	}
}

// FreeAddress is a host:port on loopback that nobody listens on now, for what is
// to run beside the control plane.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
