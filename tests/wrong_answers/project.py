"""Popular wrong answers to the project. Each loses points; the rest of the layer is right."""
# ruff: noqa  each part stands by itself; right_NAME is the solution's

import numpy as np

from nnlib.layers import Layer


# %% MyLayer: mean and variance taken for constants
class MyLayer(right_MyLayer):
    def backward(self, dY):
        X_hat, s = self._recall()
        self.grads["gamma"], self.grads["beta"] = (dY * X_hat).sum(axis=0), dY.sum(axis=0)
        return dY * self.params["gamma"] / s


# %% MyLayer: the path through the variance is missing
class MyLayer(right_MyLayer):
    def backward(self, dY):
        X_hat, s = self._recall()
        super().backward(dY)
        d = dY * self.params["gamma"]
        return (d - d.mean(axis=1, keepdims=True)) / s


# %% MyLayer: the variance divides by one fewer
class MyLayer(right_MyLayer):
    def forward(self, X):
        s = np.sqrt(X.var(axis=1, ddof=1, keepdims=True) + self.epsilon)
        X_hat = (X - X.mean(axis=1, keepdims=True)) / s
        self._remember(X_hat, s)
        return self.params["gamma"] * X_hat + self.params["beta"]


# %% MyLayer: sums over the wrong axis in backward
class MyLayer(right_MyLayer):
    def backward(self, dY):
        X_hat, s = self._recall()
        super().backward(dY)
        d = dY * self.params["gamma"]
        return (d - d.mean(axis=0) - X_hat * (d * X_hat).mean(axis=0)) / s


# %% MyLayer: no gradient for beta
class MyLayer(right_MyLayer):
    def backward(self, dY):
        dX = super().backward(dY)
        del self.grads["beta"]
        return dX


# %% MyLayer: gradients with another shape
class MyLayer(right_MyLayer):
    def backward(self, dY):
        dX = super().backward(dY)
        self.grads["beta"] = self.grads["beta"][None]
        return dX


# %% MyLayer: works in its input
class MyLayer(right_MyLayer):
    def forward(self, X):
        X -= X.mean(axis=1, keepdims=True)
        return super().forward(X)


# %% MyLayer: works in the gradient handed in
class MyLayer(right_MyLayer):
    def backward(self, dY):
        dX = super().backward(dY)
        dY *= self.params["gamma"]
        return dX


# %% MyLayer: backward remembers the call before
class MyLayer(right_MyLayer):
    def backward(self, dY):
        dX = super().backward(dY)
        self.total = getattr(self, "total", 0) + self.grads["beta"]
        self.grads["beta"] = self.total
        return dX


# %% MyLayer: settings forgotten, cannot be loaded
class MyLayer(right_MyLayer):
    settings = ()


# %% MyLayer: a parameter that is not in params
class MyLayer(right_MyLayer):
    def __init__(self, features, epsilon=1e-5):
        super().__init__(features, epsilon)
        self.shift = np.random.default_rng().normal(size=features)

    def forward(self, X):
        return super().forward(X) + self.shift


# %% MyLayer: noise in use
class MyLayer(right_MyLayer):
    def forward(self, X):
        return super().forward(X) + np.random.default_rng().normal()


# %% MyLayer: the upstream gradient is ignored
class MyLayer(right_MyLayer):
    def backward(self, dY):
        return super().backward(np.ones_like(dY))


# %% MyLayer: backward updates the parameters
class MyLayer(right_MyLayer):
    def backward(self, dY):
        dX = super().backward(dY)
        for name in self.params:
            self.params[name] -= 0.1 * self.grads[name]
        return dX


# %% MyLayer: nothing below forward
class MyLayer(Layer):
    def __init__(self, features):
        self.features = features

    def forward(self, X):
        return X


# %% make: one example
def make(rng):
    return MyLayer(4), rng.normal(size=(1, 4))


# %% make: as many examples as columns
def make(rng):
    return MyLayer(4), rng.normal(size=(4, 4))


# %% make: always the same, whatever the generator
def make(rng):
    layer = MyLayer(4)
    return layer, np.random.default_rng(0).normal(size=(6, 4))


# %% MyLayer: softplus that overflows
class MyLayer(Layer):
    settings = ("features",)

    def __init__(self, features):
        self.features = features

    def forward(self, X):
        self._remember(X)
        return np.log(1 + np.exp(X))

    def backward(self, dY):
        (X,) = self._recall()
        return dY / (1 + np.exp(-X))
