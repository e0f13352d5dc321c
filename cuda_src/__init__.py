"""Compiled kernels and their PyTorch operators, with a plain-PyTorch reference of each.

>>> import torch, cuda_src
>>> cuda_src.prox_tv1d(torch.tensor([0.0, 1.0, 5.0, 6.0]), lam=1.0)
tensor([1., 1., 5., 5.])
"""

from cuda_src.backend import Backend, backend
from cuda_src.matting import chebyshev_bound, chebyshev_order, matting_apply, matting_laplacian, matting_solve
from cuda_src.tv import Dual, prox_tv1d, prox_tv2d

__all__ = [
    "Backend",
    "Dual",
    "backend",
    "chebyshev_bound",
    "chebyshev_order",
    "matting_apply",
    "matting_laplacian",
    "matting_solve",
    "prox_tv1d",
    "prox_tv2d",
]
