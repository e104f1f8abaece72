"""Where programs run: meshes of devices, processes, compilation."""
