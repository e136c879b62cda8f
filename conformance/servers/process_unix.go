//go:build unix

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

var (
	interrupt os.Signal = syscall.SIGINT
	quit      os.Signal = syscall.SIGQUIT
)

// account is the system user that a server runs as. Its zero value is the user
// who runs the test.
type account struct {
	uid, gid uint32
	other    bool
}

// unprivileged returns the account for a server that refuses to run as root:
// the current one, or, for root, the first of the names that exists.
func unprivileged(names ...string) (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range names {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{uid: uint32(uid), gid: uint32(gid), other: true}, nil
		}
	}
	return account{}, fmt.Errorf("the server does not run as root, and none of the users %q exists", names)
}

// apply makes cmd run as the account, and end when the test binary does.
func (a account) apply(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(cmd.SysProcAttr)
	if a.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}

// makeDir makes a private directory that belongs to the account. A directory is
// of use to another user only if that user may pass through all its parents,
// which is not so for a TMPDIR inside root's home; then a public place is tried.
func (a account) makeDir(pattern string) (string, error) {
	parent := os.TempDir()
	if a.other {
		for _, candidate := range []string{parent, "/tmp", "/var/tmp"} {
			if a.canPass(candidate) {
				parent = candidate
				break
			}
		}
	}
	dir, err := os.MkdirTemp(parent, pattern)
	if err != nil {
		return "", err
	}
	if err := a.own(dir); err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// own gives the file to the account.
func (a account) own(path string) error {
	if !a.other {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

func (a account) canPass(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		passes := info.Mode().Perm()&0o001 != 0 || ok && stat.Uid == a.uid && info.Mode().Perm()&0o100 != 0
		if !passes {
			return false
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		return true
	}
}
