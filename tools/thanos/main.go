// Program thanos-rules checks rule files as thanos tools rules-check does: with
// the function of Thanos Rule. thanos itself is many times as much to build.
package main

import (
	"fmt"
	"os"

	"github.com/thanos-io/thanos/pkg/rules"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := check(name); err != nil {
			fmt.Fprintf(os.Stderr, "thanos-rules: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

func check(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	count, errs := rules.ValidateAndCount(file)
	if err := errs.Err(); err != nil {
		return err
	}
	fmt.Printf("%s: %d rules found\n", name, count)
	return nil
}
