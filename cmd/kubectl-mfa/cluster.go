package main

import (
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/neosc/mfa-operator/internal/ledger"
)

// where says which namespace of which cluster.
type where struct {
	kubeconfig, context, namespace string
}

func (w *where) flags(f *pflag.FlagSet) {
	f.StringVar(&w.kubeconfig, "kubeconfig", "", "kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)")
	f.StringVar(&w.context, "context", "", "context of the kubeconfig (default: the current one)")
	f.StringVarP(&w.namespace, "namespace", "n", "", "namespace of the ledger (default: that of the context)")
}

// open connects, and says which namespace it is.
func (w *where) open() (store ledger.Store, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = w.kubeconfig
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: w.context})
	namespace = w.namespace
	if namespace == "" {
		if namespace, _, err = config.Namespace(); err != nil {
			return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
		}
	}
	rest, err := config.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	rest.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	store, err = ledger.NewStore(rest, nil)
	return store, namespace, err
}

func newFlags(name, what string) *pflag.FlagSet {
	f := pflag.NewFlagSet("kubectl mfa "+name, pflag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "%s\n\nUsage: kubectl mfa %s [flags]\n\nFlags:\n%s", what, name, f.FlagUsages())
	}
	return f
}
