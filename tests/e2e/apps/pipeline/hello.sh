#!/bin/sh
echo "built, pushed and run in one cluster"
exec sleep 3600
