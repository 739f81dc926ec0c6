"""Speed: making a model faster, and finding out where the time goes.

replace_forward  another forward for a layer, and the one before restored
cuda_graphs      the kernels of a layer recorded once, and launched together
accelerate       torch.compile, bfloat16 and channels-last memory, one line each
profiler         the seconds, operators and bytes of a piece of code
count_syncs      where a piece of code makes the CPU wait for the GPU
"""
