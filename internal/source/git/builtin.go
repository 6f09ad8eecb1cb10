package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"

	"naru/internal/fault"
)

// builtin fetches with go-git, for machines without a git program.
type builtin struct {
	opts Options
	dir  string
	repo *gogit.Repository
}

// fetched is the local name of what was fetched.
const fetched = plumbing.ReferenceName("refs/naru/fetched")

func (b *builtin) fetch(ctx context.Context, at Location, creds Credentials) (string, error) {
	if strings.HasPrefix(at.URL, "file:") {
		return "", fault.New(fault.Unsupported, "git", "file:// needs the git program on the server")
	}
	commit, err := b.fetchAny(ctx, at, creds)
	var known *fault.Error
	switch {
	case err == nil || errors.As(err, &known):
		return commit, err
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	}
	text := redact(err.Error(), creds)
	return "", explain(at, text, errors.New(text))
}

func (b *builtin) fetchAny(ctx context.Context, at Location, creds Credentials) (string, error) {
	auth, err := b.auth(at, creds)
	if err != nil {
		return "", err
	}
	var ca []byte
	if b.opts.CAFile != "" {
		if ca, err = os.ReadFile(b.opts.CAFile); err != nil {
			return "", err
		}
	}
	if b.repo, err = gogit.PlainInit(filepath.Join(b.dir, "repo"), true); err != nil {
		return "", err
	}
	remote, err := b.repo.CreateRemoteAnonymous(&config.RemoteConfig{Name: "anonymous", URLs: []string{at.URL}})
	if err != nil {
		return "", err
	}
	refs, err := remote.ListContext(ctx, &gogit.ListOptions{Auth: auth, CABundle: ca})
	if err != nil {
		return "", err
	}
	fetch := func(depth int, specs ...config.RefSpec) error {
		err := remote.FetchContext(ctx, &gogit.FetchOptions{
			RemoteName: "anonymous", Auth: auth, CABundle: ca, Depth: depth, Tags: gogit.NoTags, RefSpecs: specs, Force: true,
		})
		if errors.Is(err, gogit.NoErrAlreadyUpToDate) {
			return nil
		}
		return err
	}
	if name, ok := find(refs, at.Ref); ok {
		if err := fetch(1, config.RefSpec("+"+name.String()+":"+fetched.String())); err != nil {
			return "", err
		}
		return b.resolve(fetched.String(), at)
	}
	if !looksLikeCommit(at.Ref) {
		return "", noSuchRef(at)
	}
	if len(at.Ref) == 40 && fetch(1, config.RefSpec(at.Ref+":"+fetched.String())) == nil {
		return b.resolve(fetched.String(), at)
	}
	if err := fetch(0, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
		return "", err
	}
	return b.resolve(at.Ref, at)
}

// find looks a short name up among the server's refs, in git's order.
func find(refs []*plumbing.Reference, name string) (plumbing.ReferenceName, bool) {
	candidates := []string{name, "refs/" + name, "refs/tags/" + name, "refs/heads/" + name}
	if name == "" {
		candidates = []string{"HEAD"}
	}
	for _, c := range candidates {
		for _, r := range refs {
			if r.Name().String() == c {
				return r.Name(), true
			}
		}
	}
	return "", false
}

// resolve finds the commit a local name stands for, through annotated tags.
func (b *builtin) resolve(name string, at Location) (string, error) {
	hash, err := b.repo.ResolveRevision(plumbing.Revision(name))
	if err != nil {
		return "", noSuchRef(at)
	}
	for range 8 {
		tag, err := b.repo.TagObject(*hash)
		if err != nil {
			break
		}
		hash = &tag.Target
	}
	if _, err := b.repo.CommitObject(*hash); err != nil {
		return "", noSuchRef(at)
	}
	return hash.String(), nil
}

func (b *builtin) committed(_ context.Context, commit string) (int64, error) {
	c, err := b.repo.CommitObject(plumbing.NewHash(commit))
	if err != nil {
		return 0, err
	}
	return c.Committer.When.Unix(), nil
}

func (b *builtin) auth(at Location, creds Credentials) (transport.AuthMethod, error) {
	if !strings.HasPrefix(at.URL, "ssh:") {
		if creds.Password.IsZero() {
			return nil, nil
		}
		return &http.BasicAuth{Username: creds.User, Password: creds.Password.Reveal()}, nil
	}
	u, err := url.Parse(at.URL)
	if err != nil {
		return nil, err
	}
	if creds.SSHKey.IsZero() {
		return nil, denied(at)
	}
	keys, err := ssh.NewPublicKeys(u.User.Username(), []byte(creds.SSHKey.Reveal()), "")
	if err != nil {
		return nil, fault.New(fault.Invalid, "git", "the ssh key for %s cannot be read", host(at)).
			WithTry("naru credentials set %s, with a private key that has no passphrase", host(at))
	}
	known := filepath.Join(b.dir, "known_hosts")
	if err := os.WriteFile(known, []byte(creds.KnownHosts+"\n"), 0o600); err != nil {
		return nil, err
	}
	files := []string{known}
	if _, err := os.Stat(b.opts.KnownHosts); err == nil {
		files = append(files, b.opts.KnownHosts)
	}
	keys.HostKeyCallback, err = ssh.NewKnownHostsCallback(files...)
	return keys, err
}

func (b *builtin) files(ctx context.Context, commit string, add func(string, fs.FileMode, io.Reader) error) error {
	c, err := b.repo.CommitObject(plumbing.NewHash(commit))
	if err != nil {
		return fmt.Errorf("commit %s: %w", commit, err)
	}
	tree, err := c.Tree()
	if err != nil {
		return fmt.Errorf("tree of %s: %w", commit, err)
	}
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for {
		name, e, err := walker.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("tree of %s: %w", commit, err)
		}
		if e.Mode == filemode.Dir || e.Mode == filemode.Submodule {
			continue
		}
		if err := errors.Join(ctx.Err(), b.file(name, e, add)); err != nil {
			return err
		}
	}
}

func (b *builtin) file(name string, e object.TreeEntry, add func(string, fs.FileMode, io.Reader) error) error {
	blob, err := b.repo.BlobObject(e.Hash)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	r, err := blob.Reader()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer r.Close()
	return add(name, modeOf(fmt.Sprintf("%06o", uint32(e.Mode))), r)
}
