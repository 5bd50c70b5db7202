// Command image packs static binaries into a container image on an empty base,
// and writes it as one archive: no container engine, no registry, and the same
// bytes every time.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/pflag"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var s spec
	var out, reference, chart string
	var created int64
	flags := pflag.NewFlagSet("image", pflag.ContinueOnError)
	flags.StringVar(&out, "out", "", "file to write")
	flags.StringVar(&reference, "reference", "", "name:tag of the image (default: what the chart asks for)")
	flags.StringVar(&chart, "chart", "", "folder of the chart")
	flags.StringVar(&s.Arch, "arch", "", "GOARCH of the binaries")
	flags.StringVar(&s.Version, "version", "", "what the binaries were stamped with")
	flags.Int64Var(&created, "created", 0, "date of everything, in seconds since 1970")
	flags.Usage = func() {
		fmt.Fprintf(os.Stderr, "image FLAGS BINARY…: the first is the entrypoint\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	s.Binaries, s.Created = flags.Args(), time.Unix(created, 0).UTC()
	if reference == "" {
		asked, err := askedFor(chart)
		if err != nil {
			return err
		}
		reference = asked
	}
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return fmt.Errorf("reading --reference: %w", err)
	}
	img, err := build(s)
	if err != nil {
		return err
	}
	if err := write(out, img, tag, s); err != nil {
		return err
	}
	fmt.Printf("%s: %s for linux/%s, version %s\n", out, tag, s.Arch, s.Version)
	return nil
}

// askedFor is the image a chart asks for when nobody sets another.
func askedFor(chart string) (string, error) {
	find := func(file, line string) (string, error) {
		text, err := os.ReadFile(filepath.Join(chart, file))
		if err != nil {
			return "", fmt.Errorf("reading what the chart asks for: %w", err)
		}
		found := regexp.MustCompile(`(?m)^` + line + `$`).FindSubmatch(text)
		if found == nil {
			return "", fmt.Errorf("reading what the chart asks for: %s has no line %q", file, line)
		}
		return string(found[1]), nil
	}
	repository, err := find("values.yaml", `  repository: (\S+)`)
	if err != nil {
		return "", err
	}
	version, err := find("Chart.yaml", `appVersion: "?([^"\s]+)"?`)
	return repository + ":" + version, err
}
