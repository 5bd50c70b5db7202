// Command rights prints docs/reference/rights.md: what each process may do in the
// cluster, one beside the other, from the list that test/install holds to an API server.
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/neosc/mfa-operator/internal/rights"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const head = `<!-- Written by hack/rights. -->
# Who may what in the cluster

What RBAC gives the two processes, with the reason for each right, and how they differ: the manager holds the credential for
Zitadel and no way to open a factor, the webhook the keys of local users and no credential for Zitadel. A
[test](../../test/install/rights_test.go) asks an API server what each may, once with the manifests of ` + "`config/rbac`" + ` and once with the
chart, and fails on every right that is not here, and on every one that is missing. Names are those of ` + "`config/`" + ` and of a release
called ` + "`mfa-operator`" + `.

"–" is no right at all. In brackets is the only object that a right is for.
`

// write prints the page.
func write(to io.Writer) error {
	var page strings.Builder
	page.WriteString(head)
	manager, webhook := &rights.ForManager, &rights.ForWebhook
	page.WriteString("\n## In every namespace\n\n" + beside(manager.Everywhere, webhook.Everywhere))
	page.WriteString("\n## In the operator's own namespace, besides\n\n" + beside(manager.Home, webhook.Home))
	for _, more := range []struct {
		title, said, named string
		scope              *rights.Scope
	}{
		{
			"What the webhook may besides, where local users are verified",
			"With `localUsers.namespaces`, or `config/localusers`. Of the namespaces that are named it can read every Secret, so nothing else should be kept there. " +
				"The manager gets nothing by it: to reset local users' factors it takes `get` and `update` of `secrets` there, " +
				"the ClusterRole `mfa-operator-manager-credentials`, which is bound to nobody until [you bind it](../runbook.md#credentialsforbidden).",
			"the namespaces that are named", &rights.ForVerifier,
		},
		{
			"What the webhook may besides, where NeoSC's API is turned on",
			"With `neosc.namespace`, or `config/neosc`. To impersonate itself is how it says [on whose behalf](../adr/0021-changed-on-behalf-of.md) it changes a policy; it can be nobody else.",
			"the namespace that is named", &rights.ForNeoSC,
		},
		{
			"What the chart's test may, while it runs",
			"The ServiceAccount `mfa-operator-check` of [`helm test`](commands.md#manager-check). It comes and goes with the test.",
			"", &rights.ForCheck,
		},
	} {
		page.WriteString("\n## " + more.title + "\n\n" + more.said + "\n\n| Where | What | Verbs | Why |\n|---|---|---|---|\n")
		for _, part := range []struct {
			where string
			list  []rights.Right
		}{{"every namespace", more.scope.Everywhere}, {"the operator's own", more.scope.Home}, {more.named, more.scope.Named}} {
			for _, r := range part.list {
				fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", part.where, what(r), verbs(r), r.Why)
			}
		}
	}
	_, err := io.WriteString(to, page.String())
	return err
}

// beside is a table of two processes' rights, a line for each kind of object.
func beside(manager, webhook []rights.Right) string {
	var table strings.Builder
	table.WriteString("| What | Manager | Webhook | Why |\n|---|---|---|---|\n")
	of := func(list []rights.Right, r rights.Right) (rights.Right, bool) {
		i := slices.IndexFunc(list, func(other rights.Right) bool { return what(other) == what(r) })
		if i < 0 {
			return rights.Right{}, false
		}
		return list[i], true
	}
	for _, m := range manager {
		w, both := of(webhook, m)
		why := m.Why
		if both && w.Why != m.Why {
			why = "manager: " + m.Why + "<br>webhook: " + w.Why
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", what(m), verbs(m), verbs(w), why)
	}
	for _, w := range webhook {
		if _, both := of(manager, w); !both {
			fmt.Fprintf(&table, "| %s | – | %s | %s |\n", what(w), verbs(w), w.Why)
		}
	}
	return table.String()
}

// what is the kind of object as kubectl takes it.
func what(r rights.Right) string {
	whole, name, named := strings.Cut(r.Resource, ":")
	resource, sub, has := strings.Cut(whole, "/")
	if r.Group != "" {
		resource += "." + r.Group
	}
	if has {
		resource += "/" + sub
	}
	if named {
		return "`" + resource + "` (`" + name + "`)"
	}
	return "`" + resource + "`"
}

func verbs(r rights.Right) string {
	if r.Verbs == "" {
		return "–"
	}
	return strings.ReplaceAll(r.Verbs, " ", ", ")
}
