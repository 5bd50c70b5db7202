package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is nobody's on any system; the manifests name the same.
const user = "65532:65532"

const source = "https://github.com/neosc/mfa-operator"

// spec is what an image is made of.
type spec struct {
	// Binaries are files, at least one; each becomes /NAME. The first is the
	// entrypoint.
	Binaries []string
	// Arch is their GOARCH.
	Arch string
	// Version is what they were stamped with.
	Version string
	// Created is the date of the image and of everything in it.
	Created time.Time
}

// build is an image with the binaries and nothing else: trusted certificates and
// all that a process needs besides is inside them.
func build(s spec) (v1.Image, error) {
	if len(s.Binaries) == 0 || s.Arch == "" || s.Version == "" {
		return nil, errors.New("needs at least one binary, their architecture and their version")
	}
	var files bytes.Buffer
	to := tar.NewWriter(&files)
	for _, file := range s.Binaries {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("packing a binary: %w", err)
		}
		if err := add(to, filepath.Base(file), 0o555, s.Created, content); err != nil {
			return nil, err
		}
	}
	if err := to.Close(); err != nil {
		return nil, fmt.Errorf("packing the binaries: %w", err)
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer),
	)
	if err != nil {
		return nil, fmt.Errorf("making the layer: %w", err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: s.Created}
	img, err := mutate.Append(base, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "hack/image"},
	})
	if err != nil {
		return nil, fmt.Errorf("adding the layer: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", s.Arch, created
	config.Config = v1.Config{
		User:       user,
		WorkingDir: "/",
		Entrypoint: []string{"/" + filepath.Base(s.Binaries[0])},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "mfa-operator",
			"org.opencontainers.image.version":  s.Version,
			"org.opencontainers.image.source":   source,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		return nil, fmt.Errorf("writing the image's configuration: %w", err)
	}
	return img, nil
}

// write writes an archive that is two in one: an OCI layout, which containerd and
// registries' tools read, and beside it the manifest.json that "docker load"
// looks for, naming the same blobs.
func write(file string, img v1.Image, tag name.Tag, s spec) error {
	folder, err := os.MkdirTemp("", "image-")
	if err != nil {
		return fmt.Errorf("laying out the image: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	to, err := layout.Write(folder, empty.Index)
	if err != nil {
		return fmt.Errorf("laying out the image: %w", err)
	}
	err = to.AppendImage(img,
		layout.WithPlatform(v1.Platform{OS: "linux", Architecture: s.Arch}),
		layout.WithAnnotations(map[string]string{
			"io.containerd.image.name":          tag.Name(), // containerd's word, which "ctr images import" takes as it is
			"org.opencontainers.image.ref.name": tag.TagStr(),
			"org.opencontainers.image.created":  s.Created.Format(time.RFC3339),
		}))
	if err != nil {
		return fmt.Errorf("laying out the image: %w", err)
	}
	docker, err := dockerManifest(img, tag)
	if err != nil {
		return fmt.Errorf("describing the image for docker: %w", err)
	}
	if err := to.WriteFile("manifest.json", docker, 0o644); err != nil {
		return fmt.Errorf("laying out the image: %w", err)
	}
	if err := pack(file, folder, s.Created); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}

func dockerManifest(img v1.Image, tag name.Tag) ([]byte, error) {
	config, err := img.ConfigName()
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	blob := func(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }
	described := tarball.Descriptor{Config: blob(config), RepoTags: []string{tag.Name()}}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return nil, err
		}
		described.Layers = append(described.Layers, blob(digest))
	}
	return json.Marshal(tarball.Manifest{described})
}

// pack writes a folder as a tar, in the order of names. The file gets its name
// when it is whole.
func pack(file, folder string, date time.Time) (err error) {
	part, err := os.CreateTemp(filepath.Dir(file), ".image-")
	if err != nil {
		return err
	}
	defer func() {
		_ = part.Close() // closed already if all went well
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	to := tar.NewWriter(part)
	tree := os.DirFS(folder)
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		return add(to, name, 0o644, date, content)
	})
	if err != nil {
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	if err := part.Chmod(0o644); err != nil {
		return err
	}
	if err := part.Close(); err != nil {
		return err
	}
	return os.Rename(part.Name(), file)
}

// add adds a file of root's to a tar.
func add(to *tar.Writer, name string, mode int64, date time.Time, content []byte) error {
	err := to.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), ModTime: date, Format: tar.FormatUSTAR})
	if err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	if _, err := to.Write(content); err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	return nil
}
