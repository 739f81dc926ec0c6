"""python -m mrcnn_edu does what the command mrcnn-edu does."""

import sys

from mrcnn_edu.cli import main

sys.exit(main())
