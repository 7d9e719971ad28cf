package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// runCopy is `cp -RL SOURCE/. TARGET/`, the one form that vcp uses of the cp in k3s's image: it copies a folder's content
// and follows links, since the files of a mounted Secret are links.
func runCopy(arguments []string) error {
	if len(arguments) != 3 || arguments[0] != "-RL" || !strings.HasSuffix(arguments[1], "/.") {
		return errors.New("usage: cp -RL SOURCE/. TARGET/")
	}
	return copyFolder(filepath.Clean(arguments[1]), filepath.Clean(arguments[2]))
}

func copyFolder(source, target string) error {
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	for _, entry := range entries {
		from, to := filepath.Join(source, entry.Name()), filepath.Join(target, entry.Name())
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = copyFolder(from, to)
		} else {
			err = copyFile(from, to, info.Mode().Perm())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(source, target string, mode os.FileMode) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
