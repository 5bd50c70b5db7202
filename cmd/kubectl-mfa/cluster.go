package main

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/neosc/mfa-operator/internal/ledger"
)

// where says which namespace of which cluster.
type where struct {
	kubeconfig, context, namespace string
}

func (w *where) flags(f *pflag.FlagSet) {
	w.clusterFlags(f)
	f.StringVarP(&w.namespace, "namespace", "n", "", "namespace of the ledger (default: that of the context)")
}

func (w *where) clusterFlags(f *pflag.FlagSet) {
	f.StringVar(&w.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)")
	f.StringVar(&w.context, "context", "", "context of the kubeconfig (default: the current one)")
}

// config says which cluster.
func (w *where) config() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = w.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: w.context})
}

// rest is how to speak to it.
func (w *where) rest() (*rest.Config, error) {
	c, err := w.config().ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	c.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	return c, nil
}

// open connects to the ledger of a namespace, and says which namespace it is.
func (w *where) open() (store ledger.Store, namespace string, err error) {
	namespace = w.namespace
	if namespace == "" {
		if namespace, _, err = w.config().Namespace(); err != nil {
			return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
		}
	}
	c, err := w.rest()
	if err != nil {
		return nil, "", err
	}
	store, err = ledger.NewStore(c, nil)
	return store, namespace, err
}

func newFlags(name, what string) *pflag.FlagSet {
	f := pflag.NewFlagSet("kubectl mfa "+name, pflag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "%s\n\nUsage: kubectl mfa %s [flags]\n\nFlags:\n%s", what, name, f.FlagUsages())
	}
	return f
}
