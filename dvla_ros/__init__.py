"""dvla_ros: discrete-diffusion vision-language-action policies on real arms."""

import os

# MuJoCo chooses its OpenGL backend when it is first imported; EGL renders without a display, on a GPU or in software.
os.environ.setdefault("MUJOCO_GL", "egl")

# The generated messages (dvla_ros.msg, .srv, .action) live in the install space, this source tree may
# come first on sys.path: both directories together are the package.
__path__ = __import__("pkgutil").extend_path(__path__, __name__)

__version__ = "0.1.0"
