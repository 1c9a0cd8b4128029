"""The replicas: renderings of dSprites and 3D Shapes from their factors, used without `--data-path`."""
