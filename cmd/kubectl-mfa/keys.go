package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/neosc/mfa-operator/internal/kube"
	"github.com/neosc/mfa-operator/internal/sealed"
)

// keyCommands says what each does.
var keyCommands = map[string]string{
	"status": `Prints the keys that stored MFA credentials are sealed and hashed with, and of how many credentials each is the key.`,
	"rotate": `Makes new keys, from then on used for everything new, and seals every stored credential anew. Nothing stands still
meanwhile. Old keys stay, until you disable and destroy them.`,
	"reseal": `Seals anew every stored credential that is under an old key. It can be ended and run again at any time.`,
	"disable": `Takes an old key out of use. Refused while a credential needs it, and for 25 hours after the rotation: so long,
something sealed with it may be under way.`,
	"enable":  `Puts a disabled key into use again.`,
	"destroy": `Removes a disabled key for ever. What was sealed with it, as in a backup, can then be opened by nobody.`,
}

func keys(ctx context.Context, command string, args []string, stdout io.Writer) error {
	var at where
	var namespace string
	flags := newFlags("keys "+command, keyCommands[command])
	at.clusterFlags(flags)
	flags.StringVarP(&namespace, "namespace", "n", "neosc-system", "the operator's own namespace")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var id string
	switch one := command == "disable" || command == "enable" || command == "destroy"; {
	case one && flags.NArg() == 1:
		id = flags.Arg(0)
	case one:
		return errors.New("name one key, as printed by kubectl mfa keys status")
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; see --help", flags.Arg(0))
	}
	config, err := at.rest()
	if err != nil {
		return err
	}
	secrets, err := kube.Secrets(config)
	if err != nil {
		return err
	}
	admin := sealed.NewAdministration(secrets, namespace, time.Now)
	switch command {
	case "rotate":
		err = rotate(ctx, admin, stdout)
	case "reseal":
		err = reseal(ctx, admin, stdout)
	case "disable":
		err = admin.Disable(ctx, id)
	case "enable":
		err = admin.Enable(ctx, id)
	case "destroy":
		err = admin.Destroy(ctx, id)
	}
	if err != nil {
		return err
	}
	return status(ctx, admin, stdout)
}

func rotate(ctx context.Context, admin *sealed.Administration, stdout io.Writer) error {
	sealing, hashing, err := admin.Rotate(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "New keys: %s and %s. Replicas are told, and look for a key that they do not know.\n", sealing, hashing)
	return reseal(ctx, admin, stdout)
}

func reseal(ctx context.Context, admin *sealed.Administration, stdout io.Writer) error {
	var last time.Time
	result, err := admin.Reseal(ctx, func(done, total int) {
		if now := time.Now(); done == total || now.Sub(last) >= time.Second {
			last = now
			fmt.Fprintf(stdout, "Under the new key: %d of %d users\n", done, total)
		}
	})
	if err != nil {
		return err
	}
	for _, failure := range result.Failed {
		fmt.Fprintf(stdout, "Not sealed anew: %v\n", failure)
	}
	if n := len(result.Failed); n > 0 {
		return fmt.Errorf("%d Secrets could not be sealed anew; all others have been. Run kubectl mfa keys reseal when that is put right", n)
	}
	return nil
}

func status(ctx context.Context, admin *sealed.Administration, stdout io.Writer) error {
	usage, err := admin.Usage(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tSTATE\tMADE\tRETIRED\tCREDENTIALS")
	for _, key := range usage.Keys {
		state := "old"
		switch {
		case key.Primary:
			state = "primary"
		case !key.Enabled:
			state = "disabled"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", key.ID, state, date(key.Made), date(key.Retired), key.Credentials)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d credentials of %d users.\n", usage.Credentials, usage.Users)
	for _, name := range usage.Unopened {
		fmt.Fprintf(stdout, "Not everything in the Secret %s opens.\n", name)
	}
	return nil
}

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}
