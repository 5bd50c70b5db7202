package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	root    = "../.."
	version = "v9.8.7-test"
)

// The archive as it is after "make image-archive" and what reads it: containerd,
// docker, a kubelet that starts its programs.
func TestArchive(t *testing.T) {
	file := made(t, root)
	wanted := chartImage(t)

	t.Run("containerd names it what the chart asks for", func(t *testing.T) {
		if names := imported(t, file); !slices.Equal(names, []string{wanted}) {
			t.Errorf("ctr images import makes %q, the chart asks for %q", names, wanted)
		}
	})
	t.Run("docker names it the same", func(t *testing.T) {
		tag, err := name.NewTag(wanted, name.StrictValidation)
		if err != nil {
			t.Fatal(err)
		}
		img, err := tarball.ImageFromPath(file, &tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(img); err != nil {
			t.Error(err)
		}
	})

	img := laidOut(t, file)
	t.Run("whole", func(t *testing.T) {
		if err := validate.Image(img); err != nil {
			t.Error(err)
		}
	})
	t.Run("what it says of itself", func(t *testing.T) {
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.OS != "linux" || config.Architecture != runtime.GOARCH {
			t.Errorf("for %s/%s", config.OS, config.Architecture)
		}
		if config.Config.User != user || !slices.Equal(config.Config.Entrypoint, []string{"/manager"}) {
			t.Errorf("runs %q as %q", config.Config.Entrypoint, config.Config.User)
		}
		if got := config.Config.Labels["org.opencontainers.image.version"]; got != version {
			t.Errorf("its version is %q", got)
		}
		if !config.Created.Equal(time.Unix(1, 0)) {
			t.Errorf("made at %s, not at SOURCE_DATE_EPOCH", config.Created)
		}
	})
	t.Run("what is in it runs", func(t *testing.T) {
		programs := unpacked(t, img)
		for _, program := range []string{"manager", "webhook"} {
			path, ok := programs[program]
			if !ok {
				t.Fatalf("there is no /%s", program)
			}
			delete(programs, program)
			out, err := exec.CommandContext(t.Context(), path, "--version").Output()
			if err != nil || strings.TrimSpace(string(out)) != version {
				t.Errorf("%s --version: %q, %v", program, out, err)
			}
			help, err := exec.CommandContext(t.Context(), path, "--help").CombinedOutput()
			if err != nil || !strings.Contains(string(help), "--health-probe-bind-address") {
				t.Errorf("%s --help: %v\n%s", program, err, help)
			}
		}
		for other := range programs {
			t.Errorf("there is also /%s", other)
		}
	})
}

// The same source gives the same bytes, wherever it lies and with git or without.
func TestArchiveIsReproducible(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, root, "bash", "-euo", "pipefail", "-c",
		`git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -cf - -T - | tar -xf - -C "$0"`, elsewhere)
	one, err := os.ReadFile(made(t, root))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(made(t, elsewhere))
	if err != nil {
		t.Fatal(err)
	}
	if string(one) != string(other) {
		t.Error("two archives of the same source differ")
	}
}

// What would make an archive that cannot be used is refused before.
func TestRefused(t *testing.T) {
	chart := filepath.Join(root, "charts", "mfa-operator")
	for why, args := range map[string][]string{
		"no binary":                {"--chart", chart, "--arch", "amd64", "--version", "v1"},
		"binary that is not there": {"--chart", chart, "--arch", "amd64", "--version", "v1", "no-such-file"},
		"no version":               {"--chart", chart, "--arch", "amd64", "go.mod"},
		"not a reference":          {"--reference", "Not A Name", "--arch", "amd64", "--version", "v1", "go.mod"},
		"no tag":                   {"--reference", "ghcr.io/neosc/mfa-operator", "--arch", "amd64", "--version", "v1", "go.mod"},
		"no chart to ask":          {"--chart", t.TempDir(), "--arch", "amd64", "--version", "v1", "go.mod"},
	} {
		t.Run(why, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "image.tar")
			if err := run(append([]string{"--out", out}, args...)); err == nil {
				t.Error("accepted")
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("left a file: %v", err)
			}
		})
	}
}

// made makes an archive of the source in a folder.
func made(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image.tar")
	command(t, source, "make", "image-archive", "ARCHIVE="+file, "VERSION="+version, "SOURCE_DATE_EPOCH=1")
	return file
}

func command(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	var diagnostics strings.Builder
	cmd.Stderr = &diagnostics
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &diagnostics)
	}
	return string(out)
}

// chartImage is the one image that all Pods of the chart run when nobody sets
// another.
func chartImage(t *testing.T) string {
	t.Helper()
	helm := "bin/tools/helm"
	if _, err := os.Stat(filepath.Join(root, helm)); err != nil {
		t.Fatal(`there is no bin/tools/helm; run "make tools"`)
	}
	render := command(t, root, helm, "template", "any", "charts/mfa-operator")
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(?:- )?image: "?([^"\n]+)"?$`).FindAllStringSubmatch(render, -1) {
		found[m[1]] = true
	}
	if len(found) != 1 {
		t.Fatalf("the chart's Pods run %v", found)
	}
	for image := range found {
		return image
	}
	panic("unreachable")
}

// imported is what "ctr images import" calls the images of an archive, found by
// containerd's own code.
func imported(t *testing.T, file string) []string {
	t.Helper()
	ctx := namespaces.WithNamespace(t.Context(), "k8s.io")
	blobs, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	top, err := archive.ImportIndex(ctx, blobs, from)
	if err != nil {
		t.Fatal(err)
	}
	// As ctr does it when it is told nothing else.
	store, kept := image.NewStore("", image.WithNamedPrefix("import-2000-01-01", true)), &named{}
	for _, described := range manifests(ctx, t, blobs, top) {
		described.Annotations["io.containerd.import.ref-source"] = "annotation"
		if _, err := store.Store(ctx, described, kept); err != nil {
			t.Fatal(err)
		}
	}
	return kept.names
}

// named is where containerd keeps images, as far as their names go.
type named struct {
	images.Store
	names []string
}

func (n *named) Create(_ context.Context, image images.Image) (images.Image, error) {
	n.names = append(n.names, image.Name)
	return image, nil
}

func manifests(ctx context.Context, t *testing.T, blobs content.Provider, of ocispec.Descriptor) []ocispec.Descriptor {
	t.Helper()
	text, err := content.ReadBlob(ctx, blobs, of)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	return index.Manifests
}

// laidOut is the image of an archive that is read as an OCI layout.
func laidOut(t *testing.T, file string) v1.Image {
	t.Helper()
	folder := t.TempDir()
	command(t, ".", "tar", "-xf", file, "-C", folder)
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Manifests) != 1 {
		t.Fatalf("%d images", len(list.Manifests))
	}
	img, err := index.Image(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// unpacked writes the files of an image to a folder, and checks that nobody but
// root could change them in the image.
func unpacked(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	files, folder := map[string]string{}, t.TempDir()
	stream := mutate.Extract(img)
	defer func() { _ = stream.Close() }()
	from := tar.NewReader(stream)
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag != tar.TypeReg || header.Mode != 0o555 || header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s: type %c, mode %o, owner %d:%d", header.Name, header.Typeflag, header.Mode, header.Uid, header.Gid)
		}
		content, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = filepath.Join(folder, filepath.Base(header.Name))
		if err := os.WriteFile(files[header.Name], content, 0o700); err != nil { //nolint:gosec // to run it
			t.Fatal(err)
		}
	}
}
