package main

import (
	"context"
	"net/http"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// runAPIServer runs kube-apiserver until ctx ends and hands out its handler, through which k3s's own listener serves
// the API without another connection. Upstream's command does the same and keeps the handler to itself.
func runAPIServer(ctx context.Context, arguments []string, serve func(http.Handler)) error {
	chosen := options.NewServerRunOptions()
	sets := chosen.Flags()
	globalflag.AddGlobalFlags(sets.FlagSet("global"), "kube-apiserver", logs.SkipLoggingConfigurationFlags())
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	registry := chosen.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	if err := logsapi.ValidateAndApply(chosen.Logs, registry.FeatureGateFor("kube")); err != nil {
		return err
	}
	completed, err := chosen.Complete(ctx)
	if err != nil {
		return err
	}
	if problems := completed.Validate(); len(problems) != 0 {
		return utilerrors.NewAggregate(problems)
	}
	config, err := apiserver.NewConfig(completed)
	if err != nil {
		return err
	}
	whole, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := apiserver.CreateServerChain(whole)
	if err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	serve(server.GenericAPIServer.Handler)
	return prepared.Run(ctx)
}
